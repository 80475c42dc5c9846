/** A short word that something is done; it goes by itself and is read out. */

import { createContext, useCallback, useContext, useMemo, useState, type ReactNode } from "react";
import { Icon } from "./Icon";

type Toast = { id: number; text: string };
const Saying = createContext<(text: string) => void>(() => undefined);
const SHOWN_MS = 5000;
let last = 0;

export const useToast = () => useContext(Saying);

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const add = useCallback((text: string) => {
    const id = ++last;
    setToasts((before) => [...before, { id, text }]);
    setTimeout(() => setToasts((before) => before.filter((one) => one.id !== id)), SHOWN_MS);
  }, []);
  const shown = useMemo(() => toasts.slice(-3), [toasts]);
  return (
    <Saying.Provider value={add}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {shown.map((one) => (
          <div key={one.id} className="toast">
            <Icon name="good" size={18} />
            {one.text}
          </div>
        ))}
      </div>
    </Saying.Provider>
  );
}
