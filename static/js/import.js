// Checking a file shows what is in it and leaves the form as it is: the chosen file stays chosen, and
// taking it is one press more. Without this script the whole page comes back and asks for it again.
const form = document.querySelector("form[data-import]");

form.addEventListener("submit", async (event) => {
  const button = event.submitter;
  if (button?.name !== "look") return;
  event.preventDefault();
  button.disabled = true;
  try {
    const data = new FormData(form);
    data.set(button.name, button.value);
    const answer = await fetch(form.action, { method: "POST", body: data });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("[data-import] [data-part=found]");
    // Signed out, or refused in some other way: the server's own page says so.
    if (!answer.ok || !found || page.querySelector("[data-import] [role=alert]")) throw new Error("ask in full");
    form.querySelector("[data-part=found]").replaceWith(document.adoptNode(found));
    form.querySelector("[data-part=found]").scrollIntoView({ block: "nearest" });
    for (const said of form.querySelectorAll("[role=alert]")) said.remove();
  } catch {
    button.disabled = false;
    const look = Object.assign(document.createElement("input"), { type: "hidden", name: "look", value: "1" });
    form.append(look);
    form.submit();
    return;
  }
  button.disabled = false;
});
