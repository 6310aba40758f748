// A page about work that goes on: it loads itself again until the server stops sending this file.
const EVERY = 2000;
setTimeout(() => location.reload(), EVERY);
