// The composer: asks the server how each network counts the text, so that its word is the only one.
const form = document.getElementById("compose");
const PAUSE = 250;
let timer = 0;
let latest = 0;

// An empty page is no mistake yet.
const begun = () =>
  [...form.querySelectorAll("textarea, #id_link, #id_hashtags")].some((field) => field.value.trim());

function show(row, measured) {
  const count = row.querySelector(".g-count");
  count.textContent =
    measured.limit === null ? `${measured.count}` : `${measured.count} / ${measured.limit}`;
  count.classList.toggle("g-over", measured.limit !== null && measured.count > measured.limit);
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
  data.delete("uploads");
  try {
    const answer = await fetch(form.dataset.check, { method: "POST", body: data });
    if (!answer.ok || mine !== latest) return;
    const { accounts } = await answer.json();
    for (const row of form.querySelectorAll("[data-account]")) {
      if (accounts[row.dataset.account]) show(row, accounts[row.dataset.account]);
    }
  } catch {
    // Offline for a moment: the next key asks again, and saving checks in any case.
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE);
}

// One line per new picture, to say what it shows.
function askAlts(input) {
  const place = document.getElementById("alts");
  place.replaceChildren(
    ...[...input.files].map((file) => {
      const label = document.createElement("label");
      label.className = "g-field";
      label.textContent = place.dataset.label.replace("NAME", file.name);
      const alt = document.createElement("input");
      alt.name = "upload_alt";
      alt.maxLength = 2000;
      label.append(alt);
      return label;
    }),
  );
}

if (form?.querySelector("[data-account]")) {
  form.addEventListener("input", soon);
  form.addEventListener("change", (event) => {
    if (event.target.id === "uploads") askAlts(event.target);
    soon();
  });
  check();
}
