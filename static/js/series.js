// The rule of a series: only the fields that its kind asks for are shown.
const kind = document.getElementById("id_kind");

function show() {
  for (const part of document.querySelectorAll("[data-kinds]")) {
    part.hidden = !part.dataset.kinds.split(" ").includes(kind.value);
  }
}

if (kind) {
  kind.addEventListener("change", show);
  show();
}
