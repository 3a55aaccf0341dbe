"use strict";
// Requests to the server; every failure becomes one sentence.
const api = (() => {
  const STORED = "detkit-key";
  const remembered = () => { try { return sessionStorage.getItem(STORED) ?? ""; } catch { return ""; } };
  let key = remembered();

  class Failure extends Error {
    constructor(message, status = 0, retry = 0) {
      super(message);
      this.status = status;
      this.retry = retry;
    }
  }

  const request = async (path, options = {}) => {
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch {
      throw new Failure("The server does not answer. Is it still running?");
    }
    const content = await response.json().catch(() => null);
    if (response.ok && content) return content;
    const { message, expected } = content?.error ?? { message: `The server answered with status ${response.status}` };
    throw new Failure(expected ? `${message}; expected: ${expected}` : message, response.status, Number(response.headers.get("Retry-After")));
  };

  return {
    Failure,
    setKey(value) {
      key = value;
      try { sessionStorage.setItem(STORED, value); } catch { /* kept until the page is closed */ }
    },
    models: async () => (await request("v1/models")).models,
    // The server is asked once with a low score; the page chooses what it shows.
    detect(model, blob, minScore) {
      const query = new URLSearchParams({ model, min_score: minScore, masks: "polygons" });
      return request(`v1/detect?${query}`, { method: "POST", body: blob, headers: { "Content-Type": "application/octet-stream" } });
    },
  };
})();
