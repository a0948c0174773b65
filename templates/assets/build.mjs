// Builds dist/: one stylesheet cut to what the pages use, scripts, fonts, icons, pictures.
// Every file is named after a hash of what is in it; manifest.json says which is which.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { PurgeCSS } from 'purgecss';
import * as sass from 'sass';

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, 'src');
const pages = join(here, '..', 'pages');
const modules = join(here, '..', '..', 'node_modules');
const dist = join(here, 'dist');

const manifest = {};
const files = new Map();

// add puts a file in its place and returns the name it is served under.
function add(name, body) {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12);
  const extension = extname(name);
  const hashed = `${name.slice(0, -extension.length)}-${hash}${extension}`;
  manifest[name] = hashed;
  files.set(hashed, body);
  return hashed;
}

// Fonts come first: the stylesheet names them by their hashes.
async function font(name) {
  const folder = name.startsWith('titillium') ? '@fontsource/titillium-web/files' : 'bootstrap-italia/dist/fonts/Roboto_Mono';
  return add(name, await readFile(join(modules, folder, name)));
}

// The policy of our pages lets no data: picture in, so those inside the stylesheet become files.
function picture(uri, number) {
  const [, encoding, data] = uri.match(/^data:image\/svg\+xml(?:;charset=utf-?8)?(;base64)?,(.*)$/is) ?? [];
  if (data === undefined) throw new Error(`cannot move ${uri.slice(0, 60)} out of the stylesheet`);
  const svg = encoding ? Buffer.from(data, 'base64').toString() : decodeURIComponent(data.replace(/%(?![0-9a-f]{2})/gi, '%25'));
  return add(`drawing-${number}.svg`, Buffer.from(svg));
}

async function replaceUrls(css) {
  const seen = new Map();
  const wanted = [...css.matchAll(/url\(\s*(["']?)(.*?)\1\s*\)/gs)].map((m) => m[2]);
  for (const url of new Set(wanted)) {
    if (url.startsWith('data:')) seen.set(url, picture(url, seen.size + 1));
    else if (url.endsWith('.woff2')) seen.set(url, await font(url));
    else throw new Error(`the stylesheet asks for ${url}`);
  }
  return css.replace(/url\(\s*(["']?)(.*?)\1\s*\)/gs, (_, quote, url) => `url(${seen.get(url)})`);
}

async function style(content) {
  const { css } = sass.compile(join(source, 'site.scss'), {
    loadPaths: [modules],
    quietDeps: true,
    silenceDeprecations: ['import', 'global-builtin', 'color-functions', 'slash-div', 'if-function'],
  });
  const [cut] = await new PurgeCSS().purge({
    content,
    css: [{ raw: css }],
    variables: true,
    fontFace: false,
  });
  // PurgeCSS cannot see which faces are used through custom properties: keep ours, drop the video player's.
  const faces = cut.css.replace(/@font-face\s*\{[^}]*\}/g, (face) => (/titillium-web-|roboto-mono-/.test(face) ? face : ''));
  // Bootstrap Italia's focus ring waits for its script to tell mouse from keyboard; ours is in _type.scss.
  const rules = faces.replace(/[^{}]+\{[^{}]*\}/g, (rule) => (rule.includes('data-focus-mouse') ? '' : rule));
  const min = await esbuild.transform(await replaceUrls(rules), { loader: 'css', minify: true, legalComments: 'none' });
  add('site.css', Buffer.from(min.code));
  return [css.length, min.code.length];
}

// Only the drawings that the pages use.
async function icons(texts) {
  const used = new Set(texts.flatMap((t) => [...t.matchAll(/icon "(it-[a-z0-9-]+)"/g)].map((m) => m[1])));
  const sprite = await readFile(join(modules, 'bootstrap-italia/dist/svg/sprites.svg'), 'utf8');
  const drawings = [...used].sort().map((id) => {
    const m = sprite.match(new RegExp(`<(symbol|svg)[^>]*id="${id}"[\\s\\S]*?</\\1>`));
    if (!m) throw new Error(`no icon ${id}`);
    return m[0];
  });
  add('icons.svg', Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg">${drawings.join('')}</svg>`));
  return used.size;
}

const names = (await readdir(pages)).filter((f) => f.endsWith('.html')).map((f) => join(pages, f));
const texts = await Promise.all(names.map((f) => readFile(f, 'utf8')));

for (const f of await readdir(source)) {
  if (f.endsWith('.svg')) add(f, await readFile(join(source, f)));
  if (f.endsWith('.js')) {
    const min = await esbuild.transform(await readFile(join(source, f), 'utf8'), { minify: true, format: 'iife', target: 'es2020' });
    add(f, Buffer.from(min.code));
  }
}
const [whole, kept] = await style([...names, join(source, 'site.js'), join(here, '..', 'functions.go')]);
const drawn = await icons(texts);
files.set('manifest.json', Buffer.from(JSON.stringify(manifest, Object.keys(manifest).sort(), 2) + '\n'));

await mkdir(dist, { recursive: true });
for (const f of await readdir(dist)) if (f !== '.gitkeep') await rm(join(dist, f), { recursive: true });
for (const [name, body] of files) await writeFile(join(dist, name), body);

console.log(`${names.length} templates, site.css ${Math.round(kept / 1024)} KiB of ${Math.round(whole / 1024)}, ${drawn} icons, ${files.size} files`);
