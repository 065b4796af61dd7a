// What the form offers to try; only text here, and asked for by the server alone, when somebody presses Collect.

export const EXAMPLES = [
  "https://example.org/", "https://www.iana.org/help/example-domains", "https://www.rfc-editor.org/rfc/rfc9110.html",
  "https://www.rfc-editor.org/rfc/rfc9457.html", "https://docs.python.org/3/library/threading.html",
  "https://docs.python.org/3/library/multiprocessing.html", "https://docs.python.org/3/glossary.html",
  "https://en.wikipedia.org/wiki/Amdahl%27s_law", "https://en.wikipedia.org/wiki/Global_interpreter_lock",
  "https://www.gnu.org/software/libmicrohttpd/", "https://curl.se/libcurl/", "https://www.kernel.org/",
];
