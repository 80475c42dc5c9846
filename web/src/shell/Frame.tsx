/** What is around every screen: places at the side, the person at the top, what everybody must know. */

import { useEffect, useRef, useState } from "react";
import { NavLink, Outlet, useLocation } from "react-router";
import { useMay, useSession } from "../api/session";
import { Button } from "../parts/Button";
import { Icon } from "../parts/Icon";
import { GROUPS, PLACES, type Group, type Place } from "../routes";
import { useWords } from "../words";
import { useTitles } from "../words/titles";
import { Banner } from "./Banner";
import { Keys } from "./Keys";
import { PersonMenu } from "./PersonMenu";
import { useOpenCount } from "./waiting";

export function Frame() {
  const say = useWords("shell");
  const { pathname } = useLocation();
  const [isOpen, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    setOpen(false);
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <div className={isOpen ? "frame frame-open" : "frame"}>
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {say("skip")}
      </a>
      <Side onClose={() => setOpen(false)} />
      <div className="frame-body">
        <header className="top">
          <span className="top-menu">
            <Button
              kind="quiet"
              icon="menu"
              aria-label={say("menu")}
              aria-expanded={isOpen}
              onClick={() => setOpen(!isOpen)}
            />
          </span>
          <Hospital />
          <PersonMenu />
        </header>
        <Banner />
        <main id="main" ref={main} tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <Keys />
    </div>
  );
}

function Hospital() {
  const { node } = useSession();
  const title = useTitles();
  return (
    <p className="top-node">
      <strong>{title(node.title)}</strong>
      <span>{node.space}</span>
    </p>
  );
}

function Side({ onClose }: { onClose: () => void }) {
  const say = useWords("shell");
  const { node } = useSession();
  return (
    <aside className="side">
      <div className="side-mark">
        <img src="/icon.svg" alt="" width={30} height={30} />
        <span>
          <strong>Consilium</strong>
          <small>{say("tagline")}</small>
        </span>
        <span className="side-close">
          <Button kind="quiet" icon="cross" aria-label={say("closeMenu")} onClick={onClose} />
        </span>
      </div>
      <nav aria-label={say("navigation")}>
        {GROUPS.map((group) => (
          <PlaceGroup key={group} group={group} />
        ))}
      </nav>
      <p className="side-foot">{say("version", { version: node.version })}</p>
    </aside>
  );
}

function PlaceGroup({ group }: { group: Group }) {
  const may = useMay();
  const say = useWords("places");
  const places = PLACES.filter((one) => one.group === group && (!one.needs || one.needs.some(may)));
  if (places.length === 0) return null;
  return (
    <div className="side-group">
      <h2>{say(`group.${group}`)}</h2>
      <ul>
        {places.map((one) => (
          <li key={one.path}>
            <PlaceLink place={one} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function PlaceLink({ place }: { place: Place }) {
  const say = useWords("places");
  const shell = useWords("shell");
  const open = useOpenCount();
  const count = place.path === "/queue" ? open : 0;
  return (
    <NavLink to={place.path} end={place.path === "/"}>
      {place.icon && <Icon name={place.icon} size={18} />}
      <span>{say(place.word)}</span>
      {count > 0 && (
        <span className="side-count" aria-label={shell("waiting", { count })}>
          {count}
        </span>
      )}
    </NavLink>
  );
}
