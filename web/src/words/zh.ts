/** All Chinese words, one file for each screen. */
export default import.meta.glob("./zh/*.json", { eager: true, import: "default" });
