// The preview: each chosen account's post as its network would show it. The texts are the server's.
const MARKED = /(https?:\/\/\S+|(?<![\w])[#@][\w.@-]*\w)/u;

function made(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// Links, hashtags and mentions stand out, as they do everywhere.
function written(text) {
  const place = made("p", "g-shown-text");
  for (const piece of text.split(MARKED)) {
    place.append(MARKED.test(piece) ? made("span", "g-shown-mark", piece) : piece);
  }
  return place;
}

// What is chosen for one part; part 0 is the post itself.
function pictures(form, number) {
  const name = number ? `images_${number}` : "images";
  const chosen = [...form.querySelectorAll(`input[name="${name}"]:checked + :is(img, video)`)];
  const place = made("div", "g-shown-pictures");
  place.append(
    ...chosen.map((shown) => {
      const copy = shown.cloneNode();
      for (const side of ["width", "height", "class"]) copy.removeAttribute(side);
      if (copy.tagName === "VIDEO") {
        for (const name of ["aria-hidden", "tabindex"]) copy.removeAttribute(name);
        copy.setAttribute("aria-label", copy.title);
        copy.controls = true;
      }
      return copy;
    }),
  );
  return chosen.length ? [place] : [];
}

function part(form, head, text, number) {
  const place = made("div", "g-shown-part");
  const who = made("p", "g-shown-who");
  who.append(made("strong", "", head.name), made("span", "g-quiet", ` ${head.handle}`));
  place.append(made("span", "g-shown-face", head.name.slice(0, 1)), who, written(text));
  place.append(...pictures(form, number));
  return place;
}

/** Draw the chosen accounts' posts; `accounts` is what the server measured, by account id. */
export function draw(form, accounts) {
  const place = document.getElementById("previews");
  if (!place) return;
  const cards = [...form.querySelectorAll("[data-account]")]
    .filter((row) => row.querySelector('input[name="accounts"]').checked)
    .filter((row) => accounts[row.dataset.account])
    .map((row) => {
      const card = made("article", "g-shown");
      const network = row.querySelector("label strong").textContent;
      const handle = row.querySelector("label .g-quiet").textContent;
      card.append(made("h3", "g-shown-network", network));
      const head = { name: place.dataset.name, handle };
      const { texts } = accounts[row.dataset.account];
      card.append(...texts.map((text, number) => part(form, head, text, number)));
      return card;
    });
  place.replaceChildren(...(cards.length ? cards : [made("p", "g-empty", place.dataset.empty)]));
}
