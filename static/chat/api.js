// What the page fetches beside the socket. One place for addresses, the CSRF token and failures.

/** A request that did not work: `status` is 0 when the server could not be reached. */
export class Failed extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
}

/** `path` is an address of the API, or begins with a slash. Fields go as JSON, a form as it is. */
async function call(method, path, fields) {
  const headers = { "X-CSRFToken": csrfToken(), Accept: "application/json" };
  if (fields && !(fields instanceof FormData)) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path.startsWith("/") ? path : `/api/v1/chat/${path}`, {
      method,
      headers,
      body: fields instanceof FormData ? fields : fields && JSON.stringify(fields),
      credentials: "same-origin",
    });
  } catch {
    throw new Failed(0, "The studio cannot be reached.");
  }
  const body = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failed(answer.status, reasonIn(body));
  return body;
}

/** The words for people in an error of the API (problem+json): the field's own come first. */
function reasonIn({ detail, title, message, errors }) {
  const first = Array.isArray(errors) ? errors[0]?.message ?? errors[0]?.detail : null;
  return first || detail || message || title || "This did not work.";
}

export const conversations = () => call("GET", "/chat/data/conversations/");
export const log = (id, { before, since } = {}) => {
  const query = new URLSearchParams();
  if (before !== undefined) query.set("before", before);
  if (since !== undefined) query.set("since", since);
  return call("GET", `/chat/data/${id}/log/?${query}`);
};
export const askForAHuman = (id) => call("POST", `/chat/data/${id}/human/`);

export const search = (words) => call("GET", `search/?${new URLSearchParams({ q: words })}`);
export const versions = async (replyId) => (await call("GET", `replies/${replyId}/`)).versions;
export const takeOver = (id) => call("POST", `conversations/${id}/take-over/`);
export const handBack = (id) => call("POST", `conversations/${id}/hand-back/`);
export const attach = (id, file) => {
  const form = new FormData();
  form.append("file", file);
  return call("POST", `conversations/${id}/attachments/`, form);
};

export const memories = async (personaId) =>
  (await call("GET", `memories/?${new URLSearchParams({ persona: personaId })}`)).results;
export const correctMemory = (id, text) => call("PATCH", `memories/${id}/`, { text });
export const eraseMemory = (id) => call("DELETE", `memories/${id}/`);
