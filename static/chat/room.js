// What stands around the messages: who one talks with, who is here, who is typing.

import { el, oncePerFrame, part } from "./dom.js";
import { aiTag, face, faceOf, humanTag, named } from "./faces.js";

export class Room {
  constructor({ store, presence, replies, line, composer, hold, askForAHuman }) {
    Object.assign(this, { store, presence, replies, line, composer });
    this.human = document.querySelector('[data-do="human"]');
    this.holdButton = document.querySelector('[data-do="hold"]');
    this.human.addEventListener("click", () => askForAHuman(store.current));
    this.holdButton.addEventListener("click", () => hold(store.current));
    const draw = oncePerFrame(() => this.#draw());
    // At once: what is opened must be there before anything in it takes the focus.
    store.addEventListener("opened", () => this.#draw());
    for (const name of ["holder", "conversations", "read"]) store.addEventListener(name, draw);
    presence.addEventListener("changed", draw);
    replies.addEventListener("changed", draw);
    line.addEventListener("state", draw);
    this.#draw();
  }

  #draw() {
    const conversation = this.store.current;
    part("talk").hidden = !conversation;
    part("nobody").hidden = Boolean(conversation);
    document.querySelector(".app").dataset.room = conversation ? "open" : "none";
    if (!conversation) return;
    this.#title(conversation);
    this.#buttons(conversation);
    part("typing").replaceChildren(...this.#typing(conversation));
    part("disclosure").textContent = this.#disclosure(conversation);
  }

  #title(conversation) {
    const { store, presence } = this;
    const somebody = faceOf(conversation, store.me);
    const online = somebody.kind === "user" && presence.isOnline(somebody.id);
    // Kept while it shows the same, so that nothing flickers and no picture is fetched again.
    const mark = [conversation.id, conversation.title, online, conversation.holder, conversation.holder_name].join("\n");
    if (this.mark !== mark) {
      this.mark = mark;
      part("face").replaceChildren(face(somebody, { online }));
      const tag = conversation.kind !== "persona" ? null : conversation.holder === "human" ? humanTag(`${conversation.holder_name}, a human`) : aiTag();
      part("title").replaceChildren(el("bdi", {}, conversation.title), ...(tag ? [" ", tag] : []));
    }
    part("standing").textContent = this.#standing(conversation, online);
  }

  #standing(conversation, online) {
    if (this.line.state !== "online") return "Not connected";
    if (conversation.kind === "persona") {
      if (conversation.holder !== "human") return "Answers at any time";
      const who = conversation.holder_id === this.store.me.id ? "You answer here, shown by your name" : "A person from the team answers here";
      return conversation.mood ? `${who}. The fan sounds ${conversation.mood}` : who;
    }
    if (conversation.kind === "direct") return online ? "Online" : "Offline";
    const members = [...conversation.members.values()];
    const people = members.filter((each) => each.kind === "user");
    const here = people.filter((each) => each.id === this.store.me.id || this.presence.isOnline(each.id)).length;
    const personas = members.filter((each) => each.kind === "persona").map((each) => `@${each.handle}`);
    const words = `${people.length} people, ${here} online`;
    return personas.length ? `${words}. AI persona: ${personas.join(", ")}` : words;
  }

  #buttons(conversation) {
    const { me } = this.store;
    const persona = conversation.kind === "persona";
    const human = conversation.holder === "human";
    this.human.hidden = !persona || human || !conversation.is_mine;
    this.holdButton.hidden = !persona || !me.is_staff || conversation.is_mine;
    this.holdButton.textContent = human ? `Let ${conversation.persona?.name} answer again` : "Answer yourself";
  }

  #disclosure(conversation) {
    if (conversation.kind !== "persona" || !conversation.is_mine) return "";
    if (conversation.holder === "human") return `${conversation.holder_name} is a human.`;
    return `${conversation.persona.name} is an AI persona and can be wrong.`;
  }

  #typing(conversation) {
    const people = this.presence.typingIn(conversation.id).map((id) => conversation.members.get(id)?.name ?? "Somebody");
    if (people.length) {
      return [dots(), `${named(people)} ${people.length > 1 ? "are" : "is"} typing`];
    }
    const name = conversation.persona?.name;
    if (this.replies.writingIn(conversation.id)) return [];
    const waiting = this.replies.waitingIn(conversation.id);
    if (waiting === "thinking") return [dots(), `${name} is thinking`];
    if (waiting === "late") return [`${name} has not answered yet. Your message is stored; the answer comes as soon as it can.`];
    return [];
  }
}

const dots = () => el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
