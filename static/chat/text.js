// Words of people and of models become nodes here and nowhere else. They are hostile until shown:
// plain text is only ever made into text nodes, links and code; the server's HTML, which is clean
// already, passes through a list of what may stay once more.

import { el, iconButton, toast } from "./dom.js";

const KEPT = new Set(
  ("P BR STRONG EM S CODE PRE BLOCKQUOTE UL OL LI A HR H1 H2 H3 H4 H5 H6 " +
    "TABLE THEAD TBODY TR TH TD").split(" "),
);
const BLOCKS = new Set("P BLOCKQUOTE UL OL H1 H2 H3 H4 H5 H6 TABLE".split(" "));
// The rest of a page's outline must not be upset by somebody's "# Hello".
const HEADING = /^H[1-6]$/;

// Under require-trusted-types-for this is the one door from text to HTML; nothing is run by it,
// and every node that comes out is looked at below.
const policy = globalThis.trustedTypes?.createPolicy("gator-chat", { createHTML: (html) => html });

/** The nodes of a message: its rendered Markdown where there is some, its text otherwise. */
export function nodesOf(message) {
  return message.html ? fromHtml(message.html) : fromText(message.content);
}

/** An address if it is one that a link may lead to. */
function safeAddress(raw) {
  try {
    const url = new URL(raw);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(address, ...children) {
  const inside = new URL(address).origin === location.origin;
  return el(
    "a",
    { href: address, rel: "noopener noreferrer nofollow ugc", target: inside ? false : "_blank" },
    ...children,
  );
}

function codeBlock(text) {
  const box = el("div", { class: "code" }, el("pre", { tabindex: "0" }, el("code", {}, text)));
  const copy = iconButton("copy", "Copy this code", async () => {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  });
  box.append(copy);
  return box;
}

// -- Text ----------------------------------------------------------------------------------------

const INLINE = /`([^`\n]+)`|\bhttps?:\/\/[^\s<>"'`]+/g;

function inline(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    let shown = match[0];
    let node = null;
    if (match[1] !== undefined) {
      node = el("code", {}, match[1]);
    } else {
      // A full stop or bracket after an address belongs to the sentence.
      shown = shown.replace(/[.,;:!?)\]}»”’]+$/u, "");
      const address = safeAddress(shown);
      if (address) node = link(address, shown);
    }
    if (!node) continue;
    nodes.push(text.slice(at, match.index), node);
    at = match.index + shown.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

/** Text with paragraphs, links, `code` and fenced code; nothing else means anything. */
export function fromText(text) {
  const out = document.createDocumentFragment();
  const fences = text.split(/^```[^\n`]*\n?/m);
  fences.forEach((piece, index) => {
    if (index % 2 === 1) {
      out.append(codeBlock(piece.replace(/\n$/, "")));
      return;
    }
    for (const paragraph of piece.split(/\n{2,}/)) {
      const trimmed = paragraph.replace(/^\n+|\n+$/g, "");
      if (trimmed) out.append(el("p", { dir: "auto" }, inline(trimmed)));
    }
  });
  return out;
}

// -- The server's HTML ---------------------------------------------------------------------------

/** The server's rendered Markdown, rebuilt node by node from what is allowed. */
export function fromHtml(html) {
  const text = policy ? policy.createHTML(html) : html;
  const parsed = new DOMParser().parseFromString(text, "text/html");
  const out = document.createDocumentFragment();
  rebuild(parsed.body, out);
  return out;
}

function rebuild(from, into) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) into.append(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    if (node.namespaceURI !== "http://www.w3.org/1999/xhtml") continue;
    if (node.tagName === "PRE") into.append(codeBlock(node.textContent.replace(/\n$/, "")));
    else if (KEPT.has(node.tagName)) into.append(rebuilt(node));
    else if (!["SCRIPT", "STYLE", "TEMPLATE", "IFRAME"].includes(node.tagName)) rebuild(node, into);
  }
}

function rebuilt(node) {
  let made;
  if (node.tagName === "A") {
    const address = safeAddress(node.getAttribute("href"));
    made = address ? link(address) : el("span");
  } else if (HEADING.test(node.tagName)) {
    made = el("p", { class: "heading" });
  } else {
    made = el(node.tagName);
    if (node.tagName === "OL" && /^\d{1,6}$/.test(node.getAttribute("start") ?? "")) {
      made.setAttribute("start", node.getAttribute("start"));
    }
  }
  if (BLOCKS.has(node.tagName)) made.dir = "auto";
  rebuild(node, made);
  if (node.tagName === "TABLE") return el("div", { class: "table", tabindex: "0" }, made);
  return made;
}
