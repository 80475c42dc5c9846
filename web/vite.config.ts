import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

// The bundle lies inside the Python package; no asset is inlined, because the
// console's content security policy allows nothing but files of its own.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/consilium/web/bundle",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: ["chrome109", "firefox115", "safari16.4"],
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": loadEnv("", ".", "CONSILIUM_").CONSILIUM_CONSOLE ?? "http://127.0.0.1:8787" },
  },
});
