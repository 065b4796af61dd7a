// The server's description of itself (OpenAPI 3.1), as the page reads it.

const METHODS = ["get", "post", "put", "delete"];

export class Description {
  constructor(document) {
    this.document = document;
    this.problems = document["x-problems"] ?? [];
    this.operations = Object.entries(document.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method] !== undefined).map((method) => this.#operation(method, path, item[method])));
    this.answering = new Map(this.problems.map(({ name }) => [name, []])); // operations by problem
    for (const operation of this.operations) {
      for (const name of operation.answers.flatMap((answer) => answer.problems)) this.answering.get(name)?.push(operation);
    }
  }

  // What a reference leads to; anything else is itself.
  follow(part) {
    while (part?.$ref !== undefined) {
      part = part.$ref.slice(2).split("/").reduce((at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
    }
    return part ?? {};
  }

  // The last name of a reference, "" for what is none.
  nameOf(part) {
    return part?.$ref?.split("/").at(-1) ?? "";
  }

  #operation(method, path, raw) {
    return {
      id: raw.operationId, method: method.toUpperCase(), path, tag: raw.tags[0], summary: raw.summary, description: raw.description ?? "",
      parameters: raw.parameters.map((parameter) => this.follow(parameter)),
      body: raw.requestBody === undefined ? null : this.follow(raw.requestBody),
      answers: Object.entries(raw.responses).map(([status, answer]) => this.#answer(status, this.follow(answer))),
      isOpen: Array.isArray(raw.security) && raw.security.length === 0,
    };
  }

  #answer(status, { description, headers = {}, content = {}, "x-problems": problems = [] }) {
    return {
      status, description, problems,
      headers: Object.entries(headers).map(([name, header]) => ({ name, ...this.follow(header) })),
      forms: Object.entries(content).map(([type, { schema, "x-events": events }]) => ({ type, schema, events })),
    };
  }

  // [{name, description, operations}] in the order of the document, those without any left out.
  tags() {
    return this.document.tags
      .map((tag) => ({ ...tag, operations: this.operations.filter((operation) => operation.tag === tag.name) }))
      .filter((tag) => tag.operations.length > 0);
  }
}

// The forms that an operation may answer with when all is well.
export const formsOf = (operation) =>
  operation.answers.filter(({ status }) => status.startsWith("2")).flatMap((answer) => answer.forms);

export const EVENTS = "text/event-stream";
