// Bluesky's own server with its directory of identities, all data in temporary files.
// Says where it is in one line of JSON, and stops when its standard input closes.
import net from 'node:net'
import { TestNetworkNoAppView } from '@atproto/dev-env'

// Both would listen to the whole network; tests concern nobody else.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  return typeof port === 'number'
    ? listen.call(this, { port, host: '127.0.0.1' }, ...rest)
    : listen.call(this, port, ...rest)
}

const network = await TestNetworkNoAppView.create({})
process.stdin.resume()
process.stdin.on('end', async () => {
  await network.close()
  process.exit(0)
})
process.stdout.write(`${JSON.stringify({ bluesky: network.pds.url })}\n`)
