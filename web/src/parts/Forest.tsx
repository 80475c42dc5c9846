/** Figures with their intervals on one scale, one line each: where they overlap is seen at once. */

import type { ReactNode } from "react";
import { useFormat } from "../words/format";
import { useWords } from "../words";
import { niceTicks } from "./scale";
import "./charts.css";

export type ForestRow = {
  key: string;
  label: ReactNode;
  /** Why there is no figure, if there is none. */
  note?: string;
  value: number | null;
  interval?: [low: number, high: number] | null;
  /** The row that the study chose, or that is compared with the others. */
  strong?: boolean;
  /** A line above: a new group begins. */
  heading?: boolean;
  hue?: number;
};

export function Forest({
  rows,
  caption,
  reference,
  digits = 3,
  bounds,
}: {
  rows: ForestRow[];
  caption: string;
  /** A vertical line to compare with: 0.5 for AUROC, for instance. */
  reference?: number;
  digits?: number;
  bounds?: [low: number, high: number];
}) {
  const format = useFormat();
  const say = useWords("charts");
  const [low, high, ticks] = scaleOf(rows, reference, bounds);
  const at = (value: number) => `${(100 * (Math.min(high, Math.max(low, value)) - low)) / (high - low)}%`;
  return (
    <div className="forest-scroll">
      <table className="forest">
        <caption className="visually-hidden">{caption}</caption>
        <thead className="visually-hidden">
          <tr>
            <th scope="col">{say("what")}</th>
            <th scope="col">{say("drawn")}</th>
            <th scope="col">{say("figure")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) =>
            row.heading ? (
              <tr key={row.key} className="forest-heading">
                <th colSpan={3} scope="rowgroup">
                  {row.label}
                </th>
              </tr>
            ) : (
              <tr key={row.key} className={row.strong ? "forest-strong" : undefined}>
                <th scope="row">{row.label}</th>
                <td className="forest-plot" aria-hidden="true">
                  {ticks.map((tick) => (
                    <i key={tick} className="forest-grid" style={{ left: at(tick) }} />
                  ))}
                  {reference !== undefined && (
                    <i className="forest-reference" style={{ left: at(reference) }} />
                  )}
                  {row.interval && (
                    <i
                      className={`forest-interval hue-${row.hue ?? 0}`}
                      style={{ left: at(row.interval[0]), right: `calc(100% - ${at(row.interval[1])})` }}
                    />
                  )}
                  {row.value !== null && (
                    <i className={`forest-point hue-${row.hue ?? 0}`} style={{ left: at(row.value) }} />
                  )}
                </td>
                <td className="forest-figure">
                  {row.value === null ? (
                    <span className="forest-note">{row.note ?? say("none")}</span>
                  ) : (
                    <>
                      <b>{format.number(row.value, digits)}</b>
                      {row.interval && (
                        <span>
                          {format.number(row.interval[0], digits)} – {format.number(row.interval[1], digits)}
                        </span>
                      )}
                    </>
                  )}
                </td>
              </tr>
            ),
          )}
        </tbody>
        <tfoot aria-hidden="true">
          <tr>
            <td />
            <td className="forest-axis">
              {ticks.map((tick) => (
                <span key={tick} style={{ left: at(tick) }}>
                  {format.number(tick)}
                </span>
              ))}
            </td>
            <td />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function scaleOf(
  rows: ForestRow[],
  reference: number | undefined,
  bounds: [number, number] | undefined,
): [low: number, high: number, ticks: number[]] {
  const shown = rows.flatMap((row) => [row.value, ...(row.interval ?? [])]);
  const values = [...shown, reference].filter((one): one is number => typeof one === "number");
  if (!values.length) return [0, 1, [0, 0.5, 1]];
  const least = Math.max(Math.min(...values), bounds?.[0] ?? -Infinity);
  const most = Math.min(Math.max(...values), bounds?.[1] ?? Infinity);
  const ticks = niceTicks(least, most > least ? most : least + 1, 5);
  return [ticks[0] ?? 0, ticks.at(-1) ?? 1, ticks];
}
