/** What changed between two versions: what stood there, what stands there now. */

import type { ReactNode } from "react";
import { useWords } from "../words";
import "./charts.css";

export type Difference = { key: string; name: ReactNode; before: string | null; after: string | null };

export function Diff({ changes, label }: { changes: Difference[]; label: string }) {
  const say = useWords("charts");
  return (
    <ul className="diff" aria-label={label}>
      {changes.map((one) => (
        <li key={one.key}>
          <div className="diff-name">{one.name}</div>
          {one.before !== null && (
            <p className="diff-before">
              <b aria-hidden="true">−</b>
              <span className="visually-hidden">{say("before")}</span>
              <del>{one.before}</del>
            </p>
          )}
          {one.after !== null && (
            <p className="diff-after">
              <b aria-hidden="true">+</b>
              <span className="visually-hidden">{say("after")}</span>
              <ins>{one.after}</ins>
            </p>
          )}
        </li>
      ))}
    </ul>
  );
}
