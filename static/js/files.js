// Unfold writes a chosen file's name into the first text field near it: beside its own file field a
// picture of it, on our forms the answer to another question. What is marked so it leaves alone.
document.addEventListener("DOMContentLoaded", () => {
  const mark = () => {
    for (const input of document.querySelectorAll(".g-field input[type=file]")) input.hasChangeListener = true;
  };
  mark();
  new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
});
