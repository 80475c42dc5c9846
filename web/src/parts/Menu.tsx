/** A small list of deeds behind one button. Arrow keys move, Escape closes. */

import { useLayoutEffect, useId, useRef, useState, type CSSProperties, type KeyboardEvent, type ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

export type MenuItem = {
  title: string;
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
  checked?: boolean;
  onChoose: () => void;
};

export function Menu({
  name,
  items,
  children,
}: {
  /** What the button is for. */
  name: string;
  items: MenuItem[];
  /** What the button shows; three dots without it. */
  children?: ReactNode;
}) {
  const [isOpen, setOpen] = useState(false);
  const [place, setPlace] = useState<CSSProperties>({});
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    if (!isOpen) return;
    setPlace(placeBeside(box.current!));
    entries(box.current)[0]?.focus({ preventScroll: true });
    const leave = () => setOpen(false);
    window.addEventListener("scroll", leave, { capture: true, once: true });
    window.addEventListener("resize", leave, { once: true });
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      window.removeEventListener("scroll", leave, { capture: true });
      window.removeEventListener("resize", leave);
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    const all = entries(box.current);
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (isOpen && to !== undefined) {
      event.preventDefault();
      all[(to + all.length) % all.length]?.focus();
    } else if (isOpen && event.key === "Escape") {
      event.stopPropagation();
      close();
    }
  };
  return (
    <div className="menu" ref={box} onKeyDown={keys}>
      <button
        type="button"
        className={children ? "menu-button" : "button button-quiet button-bare"}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        aria-label={children ? undefined : name}
        title={name}
        onClick={() => setOpen(!isOpen)}
      >
        {children ?? <Icon name="more" size={16} />}
        {children && <span className="visually-hidden">{name}</span>}
      </button>
      {isOpen && (
        <div className="menu-list" role="menu" id={id} aria-label={name} style={place}>
          {items.map((item) => (
            <button
              key={item.title}
              type="button"
              role={item.checked === undefined ? "menuitem" : "menuitemradio"}
              aria-checked={item.checked}
              disabled={item.disabled}
              className={item.danger ? "menu-danger" : undefined}
              onClick={() => {
                close();
                item.onChoose();
              }}
            >
              {item.icon && <Icon name={item.icon} size={16} />}
              <span>{item.title}</span>
              {item.checked && <Icon name="check" size={14} />}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

const GAP = 4;

/** Below the button, or above where there is no room; no table or card cuts it off. */
function placeBeside(box: HTMLElement): CSSProperties {
  const button = box.getBoundingClientRect();
  const height = box.querySelector(".menu-list")?.clientHeight ?? 0;
  const right = document.documentElement.clientWidth - button.right;
  const isBelow = button.bottom + GAP + height < window.innerHeight;
  return isBelow
    ? { right, top: button.bottom + GAP }
    : { right, bottom: window.innerHeight - button.top + GAP };
}

function entries(box: HTMLElement | null): HTMLElement[] {
  return [...(box?.querySelectorAll<HTMLElement>('[role^="menuitem"]:not(:disabled)') ?? [])];
}
