/** What happened in order, each step with its moment and its sign. */

import type { ReactNode } from "react";
import { useFormat } from "../words/format";
import { Icon } from "./Icon";
import type { StateKind } from "./State";
import "./charts.css";

export type Moment = {
  key: string;
  kind: StateKind;
  title: ReactNode;
  time?: string | null;
  children?: ReactNode;
};

export function Timeline({ moments, label }: { moments: Moment[]; label: string }) {
  const format = useFormat();
  return (
    <ol className="timeline" aria-label={label}>
      {moments.map((one) => (
        <li key={one.key} className={`timeline-${one.kind}`}>
          <Icon name={one.kind} size={18} />
          <div>
            <p className="timeline-title">{one.title}</p>
            {one.time && (
              <time className="timeline-time" dateTime={one.time}>
                {format.time(one.time)}
              </time>
            )}
            {one.children}
          </div>
        </li>
      ))}
    </ol>
  );
}
