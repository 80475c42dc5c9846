/** The text of an event stream, cut into events (HTML Living Standard, server-sent events). */

export type StreamEvent = { id: string; kind: string; data: Record<string, unknown> };

export class Lines {
  private rest = "";
  private id = "";
  private kind = "";
  private data: string[] = [];

  /** Take the next piece of text, and give the events that it completes. */
  read(piece: string): StreamEvent[] {
    const lines = (this.rest + piece).split(/\r\n|\n|\r/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.take(line));
  }

  private take(line: string): StreamEvent[] {
    if (line === "") return this.finish();
    const colon = line.indexOf(":");
    if (colon === 0) return [];
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.id = value;
    else if (field === "event") this.kind = value;
    else if (field === "data") this.data.push(value);
    return [];
  }

  private finish(): StreamEvent[] {
    const text = this.data.join("\n");
    const event = { id: this.id, kind: this.kind || "message", data: readData(text) };
    this.kind = "";
    this.data = [];
    return text ? [event] : [];
  }
}

function readData(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
