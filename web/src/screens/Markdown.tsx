/** The Markdown that our own cards are written in: headings, quotes, lists, tables, paragraphs. */

import { Fragment, type ReactNode } from "react";

const ESCAPED = /\\([\\`*_{}[\]()#+\-.!|<>~&])/g;

/** Never as HTML: a title cannot turn into markup here either. */
function inline(text: string): ReactNode {
  return text.split(/(`[^`]*`|\*\*[^*]+\*\*)/).map((piece, index) => {
    if (piece.startsWith("`")) return <code key={index}>{piece.slice(1, -1)}</code>;
    if (piece.startsWith("**")) return <strong key={index}>{piece.slice(2, -2)}</strong>;
    return <Fragment key={index}>{piece.replace(ESCAPED, "$1")}</Fragment>;
  });
}

const cellsOf = (line: string) =>
  line
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

function block(lines: string[], key: number): ReactNode {
  const [first = ""] = lines;
  const heading = /^(#{1,4}) (.*)/.exec(first);
  if (heading) {
    const Tag = `h${Math.min(6, heading[1]!.length + 1)}` as "h2";
    return <Tag key={key}>{inline(heading[2]!)}</Tag>;
  }
  if (first.startsWith(">"))
    return <blockquote key={key}>{inline(lines.map((line) => line.replace(/^> ?/, "")).join(" "))}</blockquote>;
  if (first.startsWith("|")) return <MarkTable key={key} lines={lines} />;
  if (/^[-*] /.test(first))
    return (
      <ul key={key} className="sentences">
        {lines.map((line, index) => (
          <li key={index}>{inline(line.replace(/^[-*] /, ""))}</li>
        ))}
      </ul>
    );
  return <p key={key}>{inline(lines.join(" "))}</p>;
}

function MarkTable({ lines }: { lines: string[] }) {
  const [head = [], ...body] = lines.filter((line) => !/^\|[\s:|-]+\|$/.test(line)).map(cellsOf);
  const hasHead = head.some(Boolean);
  return (
    <div className="matrix-scroll">
      <table className="mark-table">
        {hasHead && (
          <thead>
            <tr>
              {head.map((cell, index) => (
                <th key={index} scope="col">
                  {inline(cell)}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {body.map((cells, row) => (
            <tr key={row}>
              {cells.map((cell, index) => (
                <td key={index}>{inline(cell)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Markdown({ text }: { text: string }) {
  const blocks = text.split(/\n{2,}/).map((one) => one.split("\n").filter((line) => line.trim()));
  return <div className="markdown">{blocks.filter((one) => one.length).map(block)}</div>;
}
