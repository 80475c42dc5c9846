/** Lines over rounds, drawn by uPlot; with a legend that tells them apart by dash as well as colour. */

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./charts.css";
import { useWords } from "../words";
import { useFormat } from "../words/format";

export type Curve = {
  name: string;
  points: [x: number, y: number][];
  /** Drawn thick and in the text's colour: the one that counts. */
  strong?: boolean;
};

const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4], [1, 5], [12, 3]];
export const HUES = 6;

/** How a curve is drawn: the strong one first, then hue and dash by its place. */
function lookOf(curve: Curve, index: number): { variable: string; dash: number[]; width: number } {
  if (curve.strong) return { variable: "--ink", dash: [], width: 3 };
  const place = index % HUES;
  return { variable: `--line-${place + 1}`, dash: DASHES[place] ?? [], width: 1.75 };
}

/** Bring all curves to one column of x, with gaps where one says nothing. */
function align(curves: Curve[]): uPlot.AlignedData {
  const xs = [...new Set(curves.flatMap((curve) => curve.points.map(([x]) => x)))].sort(
    (one, other) => one - other,
  );
  const columns = curves.map((curve) => {
    const known = new Map(curve.points);
    return xs.map((x) => known.get(x) ?? null);
  });
  return [xs, ...columns] as uPlot.AlignedData;
}

const colourOf = (variable: string) =>
  getComputedStyle(document.documentElement).getPropertyValue(variable).trim() || "#888";

export function Curves({
  curves,
  xTitle,
  yTitle,
  label,
  height = 300,
}: {
  curves: Curve[];
  xTitle: string;
  yTitle: string;
  label: string;
  height?: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const theme = useTheme();
  const format = useFormat();
  const names = curves.map((curve) => `${curve.name}${curve.strong ? "!" : ""}`).join("\n");
  const data = useMemo(() => align(curves), [curves]);
  useEffect(() => {
    const element = box.current!;
    const made = new uPlot(
      options({ curves, xTitle, yTitle, width: element.clientWidth || 600, height, write: format.number }),
      data,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (element.clientWidth) made.setSize({ width: element.clientWidth, height });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
    // The data follow below without a new plot, as long as the same curves are shown.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [names, xTitle, yTitle, height, theme, format]);
  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => {
    curves.forEach((curve, index) =>
      plot.current?.setSeries(index + 1, { show: !hidden.has(curve.name) }),
    );
  }, [hidden, curves]);
  const toggle = (name: string) =>
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(name)) after.add(name);
      return after;
    });
  return (
    <figure className="curves" aria-label={label}>
      <div ref={box} className="curves-plot" aria-hidden="true" />
      <ul className="curves-legend">
        {curves.map((curve, index) => (
          <li key={curve.name}>
            <button type="button" aria-pressed={!hidden.has(curve.name)} onClick={() => toggle(curve.name)}>
              <Sample curve={curve} index={index} />
              <span>{curve.name}</span>
              <b>{format.number(curve.points.at(-1)?.[1], 3)}</b>
            </button>
          </li>
        ))}
      </ul>
      <TextTwin curves={curves} xTitle={xTitle} />
    </figure>
  );
}

function Sample({ curve, index }: { curve: Curve; index: number }) {
  const look = lookOf(curve, index);
  return (
    <svg className="curves-sample" width="26" height="8" aria-hidden="true">
      <line
        x1="0"
        x2="26"
        y1="4"
        y2="4"
        className={curve.strong ? "stroke-ink" : `stroke-hue-${(index % HUES) + 1}`}
        strokeWidth={look.width}
        strokeDasharray={look.dash.join(" ") || undefined}
      />
    </svg>
  );
}

/** The same figures as text: for those who cannot see the plot, and for copying. */
function TextTwin({ curves, xTitle }: { curves: Curve[]; xTitle: string }) {
  const say = useWords("charts");
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="twin" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{say("asTable")}</summary>
      {/* A thousand rounds make thousands of cells: written when somebody looks. */}
      {isOpen && <Figures curves={curves} xTitle={xTitle} />}
    </details>
  );
}

function Figures({ curves, xTitle }: { curves: Curve[]; xTitle: string }) {
  const format = useFormat();
  const [xs = [], ...columns] = align(curves) as unknown as [number[], ...(number | null)[][]];
  return (
    <div className="twin-scroll" tabIndex={0} role="group" aria-label={xTitle}>
      <table className="twin-table">
        <thead>
          <tr>
            <th scope="col">{xTitle}</th>
            {curves.map((curve) => (
              <th key={curve.name} scope="col">
                {curve.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {xs.map((x, row) => (
            <tr key={x}>
              <th scope="row">{x}</th>
              {columns.map((column, index) => (
                <td key={index}>{format.number(column[row], 4)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function options(given: {
  curves: Curve[];
  xTitle: string;
  yTitle: string;
  width: number;
  height: number;
  write: (value: number, digits?: number) => string;
}): uPlot.Options {
  const axis = {
    stroke: colourOf("--ink-3"),
    grid: { stroke: colourOf("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
    labelFont: `12px ${getComputedStyle(document.body).fontFamily}`,
    labelSize: 22,
  };
  return {
    width: given.width,
    height: given.height,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: { x: { time: false } },
    axes: [
      {
        ...axis,
        label: given.xTitle,
        grid: { show: false },
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500],
      },
      {
        ...axis,
        label: given.yTitle,
        size: 56,
        values: (_plot, ticks) => ticks.map((tick) => given.write(tick)),
      },
    ],
    series: [
      {},
      ...given.curves.map((curve, index) => {
        const look = lookOf(curve, index);
        return {
          label: curve.name,
          stroke: colourOf(look.variable),
          width: look.width,
          dash: look.dash,
          spanGaps: true,
          points: { show: curve.points.length < 2 },
        };
      }),
    ],
  };
}

/** Changes when the page turns dark or light, so that the canvas is drawn anew. */
function useTheme(): string {
  const read = () =>
    `${document.documentElement.dataset.theme ?? ""} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
  const [theme, setTheme] = useState(read);
  useEffect(() => {
    const note = () => setTheme(read());
    const media = matchMedia("(prefers-color-scheme: dark)");
    const watch = new MutationObserver(note);
    watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    media.addEventListener("change", note);
    return () => {
      watch.disconnect();
      media.removeEventListener("change", note);
    };
  }, []);
  return theme;
}
