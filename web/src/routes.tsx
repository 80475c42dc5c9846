/** The table of screens: address, file, what one must be allowed to do, and its place at the side. */

import { lazy, type ComponentType } from "react";
import type { Action } from "./api/types";
import type { IconName } from "./parts/Icon";

export type Group = "work" | "data" | "studies" | "proof" | "care";

export type Place = {
  /** As react-router writes it. */
  path: string;
  screen: ComponentType;
  /** Word of `words/LANGUAGE/places.json`, for the side and the list of keys. */
  word: string;
  /** One of these actions is needed; without it every signed-in person may look. */
  needs?: Action[];
  /** Where it stands at the side; without it the screen is reached from others. */
  group?: Group;
  icon?: IconName;
  /** Second key after `g` that leads here. */
  key?: string;
  /** Without navigation around it. */
  bare?: boolean;
};

export const GROUPS: Group[] = ["work", "data", "studies", "proof", "care"];

const Queue = lazy(() => import("./screens/Queue"));

// One line for each screen.
// prettier-ignore
export const PLACES: Place[] = [
  { path: "/", word: "home", group: "work", icon: "home", key: "h", screen: lazy(() => import("./screens/Home")) },
  { path: "/queue", word: "queue", group: "work", icon: "inbox", key: "q", screen: Queue },
  { path: "/queue/:item", word: "queue", screen: Queue },
  { path: "/approvals", word: "approvals", group: "work", icon: "approve", key: "r", screen: lazy(() => import("./screens/Approvals")) },
  { path: "/sources", word: "sources", group: "data", icon: "data", key: "d", screen: lazy(() => import("./screens/Sources")) },
  { path: "/sources/connect", word: "connect", screen: lazy(() => import("./screens/Connect")) },
  { path: "/datasets/:dataset", word: "dataset", screen: lazy(() => import("./screens/Dataset")) },
  { path: "/catalogue", word: "catalogue", group: "data", icon: "catalogue", key: "c", screen: lazy(() => import("./screens/Catalogue")) },
  { path: "/contracts", word: "contracts", group: "data", icon: "contract", key: "k", screen: lazy(() => import("./screens/Contracts")) },
  { path: "/contracts/:agreement", word: "contract", screen: lazy(() => import("./screens/Contract")) },
  { path: "/studies", word: "studies", group: "studies", icon: "study", key: "t", screen: lazy(() => import("./screens/Studies")) },
  { path: "/studies/new", word: "newStudy", screen: lazy(() => import("./screens/NewStudy")) },
  { path: "/studies/:study", word: "run", screen: lazy(() => import("./screens/Run")) },
  { path: "/studies/:study/compare", word: "compare", screen: lazy(() => import("./screens/Compare")) },
  { path: "/models", word: "models", group: "studies", icon: "model", key: "m", screen: lazy(() => import("./screens/Models")) },
  { path: "/models/:digest", word: "model", screen: lazy(() => import("./screens/Model")) },
  { path: "/nodes", word: "nodes", group: "proof", icon: "node", key: "n", screen: lazy(() => import("./screens/Nodes")) },
  { path: "/evidence", word: "evidence", needs: ["evidence.read"], group: "proof", icon: "evidence", key: "e", screen: lazy(() => import("./screens/Evidence")) },
  { path: "/screen", word: "bigScreen", group: "proof", icon: "screen", key: "b", bare: true, screen: lazy(() => import("./screens/BigScreen")) },
  { path: "/persons", word: "persons", group: "care", icon: "persons", key: "u", needs: ["person.manage"], screen: lazy(() => import("./screens/Persons")) },
  { path: "/settings", word: "settings", group: "care", icon: "settings", key: "s", screen: lazy(() => import("./screens/Settings")) },
  { path: "/account", word: "account", group: "care", icon: "person", key: "a", screen: lazy(() => import("./screens/Account")) },
  { path: "/help", word: "help", group: "care", icon: "help", screen: lazy(() => import("./screens/Help")) },
];
