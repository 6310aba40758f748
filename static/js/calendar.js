// The calendar: posts are moved by dragging or by keyboard, and every move can be taken back.
// The server decides whether and where to; the page shows what it answered.
const calendar = document.getElementById("calendar");
const bar = document.getElementById("said");
const [words, undo] = [bar.querySelector("[role=status]"), bar.querySelector("button")];
const token = calendar.querySelector("[name=csrfmiddlewaretoken]").value;
const inMonth = Boolean(calendar.querySelector(".g-cal:not(.g-cal-week)"));
const HOUR = 60;
const DAY = 24 * HOUR;
const moves = [];
let dragged = null;

function say(text) {
  bar.hidden = false;
  words.textContent = text;
  undo.hidden = moves.length === 0;
}

// Wall times are reckoned as if in UTC: the browser's own zone and its summer time stay out of it.
const shifted = (local, minutes) =>
  new Date(Date.parse(`${local}Z`) + minutes * 60_000).toISOString().slice(0, 19);

async function ask(entry, wanted) {
  entry.setAttribute("aria-busy", "true");
  const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...wanted });
  try {
    const answer = await fetch(entry.dataset.move, { method: "POST", body });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    say(told.problem ?? "It was not moved. Reload the page and try again.");
  } catch {
    say("No connection: it was not moved.");
  } finally {
    entry.removeAttribute("aria-busy");
  }
  return null;
}

function place(entry, told) {
  entry.dataset.local = told.local;
  entry.dataset.at = told.at;
  entry.querySelector("strong").textContent = told.time;
  const item = entry.parentElement;
  const day = calendar.querySelector(`[data-date="${told.local.slice(0, 10)}"] .g-entries`);
  if (!day) {
    item.remove();
    return;
  }
  const after = [...day.children].find(
    (other) => other !== item && other.querySelector(".g-entry").dataset.local > told.local,
  );
  day.insertBefore(item, after ?? null);
}

async function move(entry, wanted) {
  if (!entry.dataset.move || entry.getAttribute("aria-busy")) return;
  const hadFocus = document.activeElement === entry;
  const told = await ask(entry, wanted);
  if (!told) return;
  moves.push({ entry, at: told.before });
  place(entry, told);
  if (hadFocus) entry.focus();
  say(`Moved to ${told.said}.`);
}

async function takeBack() {
  const last = moves.pop();
  if (!last) return;
  const told = await ask(last.entry, { at: last.at });
  if (!told) {
    moves.push(last);
    return;
  }
  place(last.entry, told);
  last.entry.focus();
  say(`Back to ${told.said}.`);
}

undo.addEventListener("click", takeBack);

calendar.addEventListener("dragstart", (event) => {
  const entry = event.target.closest?.(".g-entry[data-move]");
  if (!entry) return;
  dragged = entry;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", entry.dataset.local);
});
calendar.addEventListener("dragend", () => {
  dragged = null;
  for (const day of calendar.querySelectorAll(".g-over-day")) day.classList.remove("g-over-day");
});
calendar.addEventListener("dragover", (event) => {
  const day = event.target.closest("[data-date]");
  if (!dragged || !day) return;
  event.preventDefault();
  for (const other of calendar.querySelectorAll(".g-over-day")) other.classList.remove("g-over-day");
  day.classList.add("g-over-day");
});
calendar.addEventListener("drop", (event) => {
  const day = event.target.closest("[data-date]");
  if (!dragged || !day) return;
  event.preventDefault();
  const local = day.dataset.date + dragged.dataset.local.slice(10);
  if (local !== dragged.dataset.local) move(dragged, { local });
});

calendar.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && moves.length) {
    event.preventDefault();
    takeBack();
    return;
  }
  const entry = event.target.closest(".g-entry");
  if (!entry || !event.key.startsWith("Arrow")) return;
  if (event.altKey) {
    const upDown = inMonth ? 7 * DAY : HOUR;
    const steps = { ArrowLeft: -DAY, ArrowRight: DAY, ArrowUp: -upDown, ArrowDown: upDown };
    event.preventDefault();
    move(entry, { local: shifted(entry.dataset.local, steps[event.key]) });
  } else if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
    const all = [...calendar.querySelectorAll(".g-entry")];
    const step = event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 1;
    const next = all[all.indexOf(entry) + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
});
