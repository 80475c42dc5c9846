/** Amounts side by side, each with its name and its figure. */

import type { ReactNode } from "react";
import { useFormat } from "../words/format";
import "./charts.css";

export type Bar = {
  key: string;
  label: ReactNode;
  value: number | null;
  /** What stands at the right, if not the value. */
  shown?: ReactNode;
  hue?: number;
};

export function Bars({ bars, label, most }: { bars: Bar[]; label: string; most?: number }) {
  const format = useFormat();
  const full = most ?? Math.max(0, ...bars.map((bar) => bar.value ?? 0));
  return (
    <ul className="bars" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.key}>
          <span className="bars-label">{bar.label}</span>
          <span className="bars-track" aria-hidden="true">
            <i
              className={`hue-${bar.hue ?? 0}`}
              style={{ width: full ? `${(100 * Math.min(bar.value ?? 0, full)) / full}%` : "0%" }}
            />
          </span>
          <span className="bars-value">{bar.shown ?? format.number(bar.value)}</span>
        </li>
      ))}
    </ul>
  );
}

/** How much of a whole is used, in words and as a bar. */
export function Meter({
  value,
  most,
  label,
  shown,
}: {
  value: number;
  most: number;
  label: string;
  shown: ReactNode;
}) {
  const share = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
  const mood = share >= 1 ? "full" : share > 0.8 ? "high" : "low";
  return (
    <div className="meter">
      <span className="meter-label">{label}</span>
      <span
        className={`meter-track meter-${mood}`}
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={most}
        aria-valuenow={value}
      >
        <i style={{ width: `${100 * share}%` }} />
      </span>
      <span className="meter-value">{shown}</span>
    </div>
  );
}
