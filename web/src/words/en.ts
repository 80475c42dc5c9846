/** All English words, one file for each screen. */
export default import.meta.glob("./en/*.json", { eager: true, import: "default" });
