// Turns the data of the npm package @marketto/belfiore-connector-embedded
// into places.tsv.gz, the table that the Go package embeds.
//
//   npm pack @marketto/belfiore-connector-embedded@1.2.1 && tar xzf marketto-*.tgz
//   node convert.mjs package/asset/cities-countries.ts places.tsv.gz
//
// One line a place and period: code, province (a foreign state: its ISO 3166
// code), first day, last day, name. An empty day is an open end. Sorted, and
// compressed without a time stamp, so that the same data gives the same file.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [source, target] = process.argv.slice(2);
if (!source || !target) {
  console.error("usage: node convert.mjs package/asset/cities-countries.ts places.tsv.gz");
  process.exit(2);
}

const text = readFileSync(source, "utf8");
const { data } = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));

// The package counts days from the first of January 1861, in base 32.
const epoch = Date.UTC(1861, 0, 1);
const day = (digits) => (digits ? new Date(epoch + parseInt(digits, 32) * 86_400_000).toISOString().slice(0, 10) : "");

const code = (digits) => {
  const n = parseInt(digits, 32);
  return String.fromCharCode(65 + Math.floor(n / 1000)) + String(n % 1000).padStart(3, "0");
};

// One name came through the wrong encoding, and the United Kingdom has the code
// that vehicles carry instead of its ISO 3166 one.
const repaired = (name) => (name.includes("\u00c3") ? Buffer.from(name, "latin1").toString("utf8") : name).trim();
const country = (code) => (code === "UK" ? "GB" : code);

const lines = [];
for (const set of data) {
  set.name.split("|").forEach((name, i) => {
    const belfiore = code(set.belfioreCode.slice(i * 3, i * 3 + 3));
    const where = set.provinceOrCountry.slice(i * 2, i * 2 + 2).trim();
    lines.push(
      [
        belfiore,
        belfiore.startsWith("Z") ? country(where) : where,
        day((set.creationDate ?? "").slice(i * 4, i * 4 + 4)),
        day((set.expirationDate ?? "").slice(i * 4, i * 4 + 4)),
        repaired(name),
      ].join("\t"),
    );
  });
}
lines.sort();
writeFileSync(target, gzipSync(lines.join("\n") + "\n", { level: 9 }));
console.error(`${lines.length} places`);
