/** How far predicted chances came true: points on the diagonal are right, size is the patients. */

import { useWords } from "../words";
import { useFormat } from "../words/format";
import type { Bin } from "../api/reading";
import "./charts.css";

const SIDE = 220;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const EDGE = 34;

export function Calibration({ bins, label, hue = 1 }: { bins: Bin[]; label: string; hue?: number }) {
  const say = useWords("charts");
  const format = useFormat();
  const x = (value: number) => EDGE + value * SIDE;
  const y = (value: number) => 8 + (1 - value) * SIDE;
  const most = Math.max(1, ...bins.map((bin) => bin.n));
  const line = bins.map((bin) => `${x(bin.predicted)},${y(bin.observed)}`).join(" ");
  return (
    <figure className="calibration">
      <svg viewBox={`0 0 ${SIDE + EDGE + 12} ${SIDE + EDGE + 14}`} role="img" aria-label={label}>
        {TICKS.map((tick) => (
          <g key={tick}>
            <line className="grid" x1={x(tick)} x2={x(tick)} y1={y(0)} y2={y(1)} />
            <line className="grid" x1={x(0)} x2={x(1)} y1={y(tick)} y2={y(tick)} />
            <text x={x(tick)} y={y(0) + 14} textAnchor="middle">
              {tick}
            </text>
            <text x={x(0) - 6} y={y(tick) + 4} textAnchor="end">
              {tick}
            </text>
          </g>
        ))}
        <line className="ideal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
        <polyline className={`line stroke-hue-${hue}`} points={line} />
        {bins.map((bin) => (
          <circle
            key={bin.predicted}
            className={`hue-${hue}`}
            cx={x(bin.predicted)}
            cy={y(bin.observed)}
            r={3 + 5 * Math.sqrt(bin.n / most)}
          >
            <title>
              {say("bin", {
                predicted: format.percent(bin.predicted),
                observed: format.percent(bin.observed),
                n: bin.n,
              })}
            </title>
          </circle>
        ))}
        <text className="axis" x={x(0.5)} y={y(0) + 32} textAnchor="middle">
          {say("predicted")}
        </text>
        <text
          className="axis"
          x={-y(0.5)}
          y={9}
          textAnchor="middle"
          transform="rotate(-90)"
        >
          {say("observed")}
        </text>
      </svg>
    </figure>
  );
}
