// The composer: asks the server how each network counts the text, so that its word is the only one.
import { draw } from "./preview.js";

const form = document.getElementById("compose");
const PAUSE = 250;
let timer = 0;
let latest = 0;

// An empty page is no mistake yet.
const begun = () =>
  [...form.querySelectorAll("textarea, #id_link, #id_hashtags")].some((field) => field.value.trim());

function show(row, measured) {
  const count = row.querySelector(".g-count");
  const each = measured.counts.join(" + ");
  count.textContent = measured.limit === null ? each : `${each} / ${measured.limit}`;
  const over = measured.limit !== null && Math.max(...measured.counts) > measured.limit;
  count.classList.toggle("g-over", over);
  const chosen = row.querySelector('input[name="accounts"]').checked;
  row.querySelector(".g-problems").replaceChildren(
    ...(chosen && begun() ? measured.problems : []).map((problem) => {
      const line = document.createElement("li");
      line.textContent = problem;
      return line;
    }),
  );
}

async function check() {
  const mine = ++latest;
  const data = new FormData(form);
  for (const name of [...data.keys()]) if (name.startsWith("uploads")) data.delete(name);
  try {
    const answer = await fetch(form.dataset.check, { method: "POST", body: data });
    if (!answer.ok || mine !== latest) return;
    const { accounts } = await answer.json();
    for (const row of form.querySelectorAll("[data-account]")) {
      if (accounts[row.dataset.account]) show(row, accounts[row.dataset.account]);
    }
    draw(form, begun() ? accounts : {});
  } catch {
    // Offline for a moment: the next key asks again, and saving checks in any case.
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE);
}

// One more part of a thread; what is left empty is not kept.
function addPart() {
  const place = document.getElementById("parts");
  const number = place.children.length + 1;
  const part = document.getElementById("new-part").content.firstElementChild.cloneNode(true);
  part.dataset.part = number;
  for (const element of part.querySelectorAll("[id], [for], [name], [data-name]")) {
    for (const name of ["id", "for", "name", "data-name"]) {
      const value = element.getAttribute(name);
      if (value) element.setAttribute(name, value.replace(/([-_])0$/, `$1${number}`));
    }
  }
  const [label, hidden] = [part.querySelector("label"), part.querySelector("summary .g-hidden")];
  for (const words of [label, hidden]) {
    words.textContent = words.textContent.replace("1", number + 1);
  }
  place.append(part);
  part.querySelector("textarea").focus();
}

// One line per new picture or video, to say what it shows.
function askAlts(input) {
  const place = input.closest(".g-part, section").querySelector(".g-alts");
  place.replaceChildren(
    ...[...input.files].map((file) => {
      const label = document.createElement("label");
      label.className = "g-field";
      label.textContent = place.dataset.label.replace("NAME", file.name);
      const alt = document.createElement("input");
      alt.name = place.dataset.name;
      alt.maxLength = 2000;
      label.append(alt);
      return label;
    }),
  );
}

if (form?.querySelector("[data-account]")) {
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  // Before the field hears of it: Unfold listens there, for markup that these fields do not have.
  form.addEventListener(
    "change",
    (event) => {
      if (event.target.type !== "file") return;
      event.stopPropagation();
      askAlts(event.target);
      soon();
    },
    true,
  );
  document.getElementById("add-part")?.addEventListener("click", addPart);
  // Chosen before this was loaded, or kept by the browser when it came back to the page.
  for (const input of form.querySelectorAll('input[type="file"]')) {
    if (input.files.length) askAlts(input);
  }
  check();
}
