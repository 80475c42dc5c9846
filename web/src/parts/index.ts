/** Every part that screens are made of. Drawings (curves, matrices) are imported where used. */

export { Button, ButtonLink, type ButtonKind } from "./Button";
export { csvName, saveFile, writeCsv } from "./csv";
export { Dialog, ReasonDialog } from "./Dialog";
export { Empty } from "./Empty";
export {
  AreaField,
  CheckField,
  ChoiceField,
  Field,
  SelectField,
  TextField,
  type Option,
} from "./Field";
export { Icon, type IconName } from "./Icon";
export { Menu, type MenuItem } from "./Menu";
export { Card, Facts, Page } from "./Page";
export { Await, Loading, Problem, useProblemText } from "./Problem";
export { Notice, State, Tag, type StateKind } from "./State";
export { Table, type Column } from "./Table";
export { Tabs, type Tab } from "./Tabs";
export { useToast } from "./Toast";
