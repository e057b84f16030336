/** The page's JavaScript in one file, and the core's module beside it. */
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const MODULE = 'wayfare_bg.wasm';

export interface Bundle {
  /** What a static server serves. */
  folder: string;
  /** Bytes after gzip, by file. */
  compressed: Record<string, number>;
}

export async function bundle(folder: string): Promise<Bundle> {
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [here('page.js')],
    outfile: join(folder, 'page.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
  });
  await copyFile(here('index.html'), join(folder, 'index.html'));
  await copyFile(here(`../../bindings/wasm/pkg/${MODULE}`), join(folder, MODULE));
  const compressed: Record<string, number> = {};
  for (const name of ['page.js', MODULE])
    compressed[name] = gzipSync(await readFile(join(folder, name)), { level: 9 }).length;
  return { folder, compressed };
}
