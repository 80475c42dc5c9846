/** Addresses to screens, behind one door: without a session every address shows signing in. */

import { Suspense } from "react";
import { createBrowserRouter } from "react-router";
import { Loading } from "../parts/Problem";
import { PLACES, type Place } from "../routes";
import { Broken } from "./Broken";
import { Door } from "./Door";
import { Frame } from "./Frame";
import { Guard } from "./Guard";
import { Nowhere } from "./Nowhere";

function show(place: Place) {
  const Screen = place.screen;
  return {
    path: place.path,
    element: (
      <Guard needs={place.needs}>
        <Suspense fallback={<Loading />}>
          <Screen />
        </Suspense>
      </Guard>
    ),
    errorElement: <Broken />,
  };
}

export function makeRouter() {
  return createBrowserRouter([
    {
      element: <Door />,
      errorElement: <Broken />,
      children: [
        ...PLACES.filter((one) => one.bare).map(show),
        {
          element: <Frame />,
          children: [
            ...PLACES.filter((one) => !one.bare).map(show),
            { path: "*", element: <Nowhere /> },
          ],
        },
      ],
    },
  ]);
}
