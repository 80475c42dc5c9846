/** Tables as CSV files (RFC 4180) that spreadsheets open in either language. */

export type CsvValue = string | number | boolean | null | undefined;

// A cell that begins like a formula would be run by a spreadsheet.
const FORMULA = /^[=+\-@\t\r]/;
const BYTE_ORDER_MARK = "\uFEFF";

export function writeCsv(rows: CsvValue[][]): string {
  return BYTE_ORDER_MARK + rows.map((row) => row.map(writeCell).join(",")).join("\r\n") + "\r\n";
}

function writeCell(value: CsvValue): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Hand a text to the person as a file. */
export function saveFile(name: string, text: string, type = "text/csv;charset=utf-8"): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function csvName(name: string): string {
  const day = new Date().toISOString().slice(0, 10);
  return `${name.replace(/[\\/:*?"<>|\s]+/g, "-")}-${day}.csv`;
}
