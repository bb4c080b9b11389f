import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'rolldown'
import { root } from './root.mjs'

/** Writes dist/report.schema.json, made from the same zod schema that the type `Report` is inferred from. */
export async function buildSchema() {
  const { output } = await build({
    cwd: root,
    input: 'src/model/schema.ts',
    platform: 'node',
    write: false,
    logLevel: 'warn',
  })
  const code = Buffer.from(output[0].code).toString('base64')
  const { reportJsonSchema } = await import(`data:text/javascript;base64,${code}`)
  writeFileSync(join(root, 'dist/report.schema.json'), `${JSON.stringify(reportJsonSchema(), null, 2)}\n`)
}
