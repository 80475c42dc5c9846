/** A person's roles, each with the study or organisation that it is limited to. */

import type { Grant } from "../api/types";
import { Tag } from "../parts/State";
import { useWords } from "../words";

export function GrantTags({ grants }: { grants: Grant[] }) {
  const roles = useWords("roles");
  const say = useWords("shell");
  if (grants.length === 0) return <span className="quiet">{say("noRole")}</span>;
  return (
    <span className="row row-tight">
      {grants.map((one) => (
        <Tag key={`${one.role} ${one.study} ${one.organisation}`}>
          {[roles(one.role), one.study, one.organisation].filter(Boolean).join(" · ")}
        </Tag>
      ))}
    </span>
  );
}
