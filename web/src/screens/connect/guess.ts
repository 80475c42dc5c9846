/**
 * What a table's first lines say about its columns, worked out in the browser: nothing is sent for
 * it, and no cell is shown. The node reads the whole file and has the last word.
 */

export type Kind = "number" | "category" | "text";
export type Use = "feature" | "label" | "patient" | "drop";

export type ColumnGuess = {
  source: string;
  name: string;
  kind: Kind;
  use: Use;
  unit: string;
  low: string;
  high: string;
  categories: string;
  /** Cells looked at, and how many of them were empty. */
  seen: number;
  empty: number;
};

export type Understood = { encoding: "utf-8" | "gb18030"; delimiter: string; columns: ColumnGuess[]; rows: number };

const LOOKED_AT = 512 * 1024;
const MOST_CATEGORIES = 12;
const PATIENT = /^(patient|pat|subject|pid|mrn)([_ -]?(id|no|nr|number))?$|住院号|病历号|患者编号|病人编号|就诊号/i;
const NAMELIKE = /姓名|^name$|phone|电话|手机|身份证|address|住址|birth|生日|remark|备注/i;
const LABELLIKE = /^(label|target|outcome|diagnosis|class|y)$|结局|诊断|标签/i;

/** Look at the beginning of a table. */
export async function understand(file: Blob): Promise<Understood> {
  const bytes = await file.slice(0, LOOKED_AT).arrayBuffer();
  const { text, encoding } = decode(bytes, file.size > LOOKED_AT);
  const lines = text.split(/\r\n|\n|\r/).filter((line) => line !== "");
  if (file.size > LOOKED_AT) lines.pop();
  const [head = "", ...body] = lines;
  const delimiter = [",", "\t", ";"].sort((a, b) => head.split(b).length - head.split(a).length)[0]!;
  const names = cellsOf(head, delimiter);
  const rows = body.map((line) => cellsOf(line, delimiter)).filter((row) => row.length === names.length);
  const taken = new Set<string>();
  const columns = names.map((source, at) => guess(source, rows.map((row) => row[at] ?? ""), taken));
  if (!columns.some((one) => one.use === "label")) chooseLabel(columns);
  return { encoding, delimiter, columns, rows: rows.length };
}

function decode(bytes: ArrayBuffer, isCut: boolean): { text: string; encoding: Understood["encoding"] } {
  try {
    // A file that is cut may end within a letter; what was cut is dropped with the last line.
    const decoder = new TextDecoder("utf-8", { fatal: true });
    return { text: decoder.decode(bytes, { stream: isCut }), encoding: "utf-8" };
  } catch {
    return { text: new TextDecoder("gb18030").decode(bytes), encoding: "gb18030" };
  }
}

/** Cells of one line; quoted ones may hold the delimiter. */
export function cellsOf(line: string, delimiter: string): string[] {
  const cells: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const letter = line[at]!;
    if (isQuoted && letter === '"' && line[at + 1] === '"') {
      cell += '"';
      at++;
    } else if (letter === '"') isQuoted = !isQuoted;
    else if (letter === delimiter && !isQuoted) {
      cells.push(cell.trim());
      cell = "";
    } else cell += letter;
  }
  return [...cells, cell.trim()];
}

function guess(source: string, cells: string[], taken: Set<string>): ColumnGuess {
  const filled = cells.filter((cell) => cell !== "");
  const different = [...new Set(filled)];
  const isNumber = filled.length > 0 && filled.every((cell) => Number.isFinite(Number(cell)));
  const isFew = different.length > 0 && different.length <= MOST_CATEGORIES && different.length < filled.length;
  const kind: Kind = isNumber && !(isFew && different.length <= 5) ? "number" : isFew ? "category" : "text";
  const use: Use = PATIENT.test(source)
    ? "patient"
    : NAMELIKE.test(source) || kind === "text"
      ? "drop"
      : LABELLIKE.test(source)
        ? "label"
        : "feature";
  const sorted = different.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  return {
    source,
    name: nameOf(source, taken),
    kind,
    use,
    unit: "",
    low: "",
    high: "",
    categories: kind === "category" && use !== "patient" ? sorted.join(", ") : "",
    seen: cells.length,
    empty: cells.length - filled.length,
  };
}

function nameOf(source: string, taken: Set<string>): string {
  const plain = source.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_+|_+$/g, "") || "column";
  let name = plain;
  for (let number = 2; taken.has(name); number++) name = `${plain}_${number}`;
  taken.add(name);
  return name;
}

function chooseLabel(columns: ColumnGuess[]): void {
  const last = [...columns].reverse().find((one) => one.use === "feature" && one.kind === "category");
  if (last) last.use = "label";
}
