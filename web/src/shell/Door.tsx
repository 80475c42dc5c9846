/** Who may come in: nobody yet, a stranger, or a person; one address for all of them. */

import { Outlet } from "react-router";
import { useStanding } from "../api/session";
import { StreamProvider } from "../api/stream";
import { Loading } from "../parts/Problem";
import SignIn from "../screens/SignIn";
import Welcome from "../screens/Welcome";
import { Expiry } from "./Expiry";
import { Silent } from "./Silent";

export function Door() {
  const { standing } = useStanding();
  if (standing === "unknown") return <Loading />;
  if (standing === "unreachable") return <Silent />;
  if (standing === "first") return <Welcome />;
  if (standing === "out") return <SignIn />;
  return (
    <StreamProvider>
      <Outlet />
      <Expiry />
    </StreamProvider>
  );
}
