/** A table of figures whose shade follows the figure: confusion, kappa, models × metrics. */

import type { ReactNode } from "react";
import { useFormat } from "../words/format";
import "./charts.css";

const SHADES = 5;

export function Matrix({
  caption,
  corner,
  rows,
  columns,
  values,
  digits = 3,
  shade = true,
  bounds,
  write,
}: {
  caption: string;
  corner?: ReactNode;
  rows: ReactNode[];
  columns: ReactNode[];
  values: (number | null)[][];
  digits?: number;
  shade?: boolean;
  /** What counts as none and as full; by default the least and the greatest shown. */
  bounds?: [low: number, high: number];
  write?: (value: number, row: number, column: number) => ReactNode;
}) {
  const format = useFormat();
  const known = values.flat().filter((one): one is number => one !== null);
  const [low, high] = bounds ?? [Math.min(...known), Math.max(...known)];
  const shadeOf = (value: number) =>
    high > low ? Math.round((SHADES * (value - low)) / (high - low)) : 0;
  return (
    <div className="matrix-scroll">
      <table className="matrix">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            <td>{corner}</td>
            {columns.map((name, index) => (
              <th key={index} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {values.map((line, row) => (
            <tr key={row}>
              <th scope="row">{rows[row]}</th>
              {line.map((value, column) => (
                <td
                  key={column}
                  className={shade && value !== null ? `shade-${shadeOf(value)}` : undefined}
                >
                  {value === null ? "–" : (write?.(value, row, column) ?? format.number(value, digits))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
