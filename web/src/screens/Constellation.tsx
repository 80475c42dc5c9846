/** The space as a picture: the hub in the middle, hospitals around it, lines as strong as what they gave. */

import type { Overview } from "../api/reading";
import { useWords } from "../words";
import { useTitles } from "../words/titles";

const WIDTH = 860;
const HEIGHT = 560;
const CENTRE = { x: WIDTH / 2, y: HEIGHT / 2 };
const REACH = { x: 300, y: 190 };
const RINGS = [90, 160, 240, 330];
const LEAST_DOT = 26;
const MOST_DOT = 44;
/** More than these have no room for their names. */
export const MOST_DRAWN = 12;

type Star = Overview["members"][number] & { x: number; y: number; dot: number; line: number };

export function Constellation({ overview }: { overview: Overview }) {
  const say = useWords("bigScreen");
  const title = useTitles();
  const stars = place(overview);
  const isAtWork = overview.studies.running > 0;
  return (
    <svg className="sky" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={say("network")}>
      <g className="sky-rings">
        {RINGS.map((radius) => (
          <ellipse key={radius} cx={CENTRE.x} cy={CENTRE.y} rx={radius * 1.2} ry={radius * 0.8} />
        ))}
      </g>
      {stars.map((one) => (
        <line
          key={one.participant}
          className={`sky-line ${one.online ? "" : "sky-away"} ${isAtWork && one.online ? "sky-work" : ""}`}
          x1={CENTRE.x}
          y1={CENTRE.y}
          x2={one.x}
          y2={one.y}
          strokeWidth={one.line}
        />
      ))}
      <g className="sky-hub">
        <circle className="sky-glow" cx={CENTRE.x} cy={CENTRE.y} r={74} />
        <circle cx={CENTRE.x} cy={CENTRE.y} r={54} />
        <text x={CENTRE.x} y={CENTRE.y + 8}>
          {say("hub")}
        </text>
      </g>
      {stars.map((one) => (
        <g key={one.participant} className={one.online ? "sky-star" : "sky-star sky-off"}>
          <circle className="sky-glow" cx={one.x} cy={one.y} r={one.dot + 12} />
          <circle cx={one.x} cy={one.y} r={one.dot} />
          <text className="sky-count" x={one.x} y={one.y + 9}>
            {one.datasets}
          </text>
          <text x={one.x} y={one.y < CENTRE.y ? one.y - one.dot - 24 : one.y + one.dot + 38}>
            {title(one.title)}
          </text>
        </g>
      ))}
    </svg>
  );
}

/** Hospitals stand evenly around the hub, none straight above it: names need the sides. */
function place({ members, contributions }: Overview): Star[] {
  const rounds = new Map(contributions.map((one) => [one.participant, one.rounds]));
  const mostRounds = Math.max(1, ...rounds.values());
  const mostSets = Math.max(1, ...members.map((one) => one.datasets));
  return members.slice(0, MOST_DRAWN).map((one, index, all) => {
    const turn = ((index + 0.5) / all.length) * 2 * Math.PI - Math.PI / 2;
    return {
      ...one,
      x: CENTRE.x + REACH.x * Math.cos(turn),
      y: CENTRE.y + REACH.y * Math.sin(turn),
      dot: LEAST_DOT + (MOST_DOT - LEAST_DOT) * Math.sqrt(one.datasets / mostSets) * 0.6,
      line: 1.5 + (4.5 * (rounds.get(one.participant) ?? 0)) / mostRounds,
    };
  });
}
