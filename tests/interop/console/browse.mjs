// Visits every page of a console with the client certificate of each role, and looks at what a person would.
import { chromium } from "playwright-core";

const [address, staff, referral, pictures] = process.argv.slice(2);
const origin = `https://${address}`;
const roles = {
  "operator-1": ["/now", "/agencies", "/search?stage=not_fetched", referral],
  "auditor-1": ["/agreements", "/mechanism?from=ae.dfwac&category=trafficking&service=shelter&jurisdiction=AE", "/search", "/audit", referral],
  "administrator-1": ["/now", "/agencies", "/agreements", "/mechanism", "/search?agency=ae.dfwac", "/audit", referral],
};
const looks = [
  { name: "wide-light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "wide-dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  { name: "narrow-light", viewport: { width: 375, height: 740 }, colorScheme: "light" },
];

let passed = 0;
const failed = [];
const check = (name, holds) => {
  if (holds) passed += 1;
  else failed.push(name);
};

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, paths] of Object.entries(roles)) {
  for (const look of looks) {
    const context = await browser.newContext({
      viewport: look.viewport,
      colorScheme: look.colorScheme,
      ignoreHTTPSErrors: true,
      clientCertificates: [
        { origin, certPath: `${staff}/${name}/tls/certificate.pem`, keyPath: `${staff}/${name}/tls/key.pem` },
      ],
    });
    const page = await context.newPage();
    const said = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    for (const language of ["en", "ar"]) {
      for (const path of paths) {
        const what = `${name} ${look.name} /${language}${path}`;
        const answer = await page.goto(`${origin}/${language}${path}`);
        check(`${what}: 200`, answer.status() === 200);
        const seen = await page.evaluate(() => ({
          direction: getComputedStyle(document.body).direction,
          overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth + 1,
          headings: document.querySelectorAll("h1").length,
          unlabelled: [...document.querySelectorAll("input:not([type=hidden]), select")].filter((one) => !one.labels.length).length,
          ground: getComputedStyle(document.body).backgroundColor,
        }));
        check(`${what}: direction`, seen.direction === (language === "ar" ? "rtl" : "ltr"));
        check(`${what}: fits its window`, !seen.overflows);
        check(`${what}: one first heading`, seen.headings === 1);
        check(`${what}: every field has a label`, seen.unlabelled === 0);
        check(`${what}: style came`, seen.ground !== "rgba(0, 0, 0, 0)");
        const file = `${name}-${look.name}-${language}-${path.split(/[/?]/)[1]}.png`;
        await page.screenshot({ path: `${pictures}/${file}`, fullPage: true });
      }
    }
    // The first thing that a keyboard reaches leads past the navigation.
    await page.keyboard.press("Tab");
    check(`${name} ${look.name}: skip link first`, (await page.evaluate(() => document.activeElement.className)) === "skip");
    check(`${name} ${look.name}: the browser complains of nothing: ${said}`, said.length === 0);
    await context.close();
  }
}
await browser.close();
for (const name of failed) console.error(`FAILED ${name}`);
console.log(`console: ${passed} passed, ${failed.length} failed`);
process.exit(failed.length ? 1 : 0);
