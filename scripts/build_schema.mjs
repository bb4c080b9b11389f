import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { root } from './root.mjs'

/** Writes dist/report.schema.json, made from the same zod schema that the type `Report` is inferred from. */
export async function buildSchema() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/model/schema.ts'],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    logLevel: 'warning',
  })
  const code = Buffer.from(outputFiles[0].contents).toString('base64')
  const { reportJsonSchema } = await import(`data:text/javascript;base64,${code}`)
  writeFileSync(join(root, 'dist/report.schema.json'), `${JSON.stringify(reportJsonSchema(), null, 2)}\n`)
}
