import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { copyOf, database, newest, root } from '../support/database.js'

const run = promisify(execFile)

/** What a reader does, in order: a file to write, SQL that makes the example database, or commands. */
interface Block {
  path: string | null
  kind: string
  text: string
}

const blocksOf = (markdown: string): Block[] =>
  [...markdown.matchAll(/(?:`([\w./-]+)`:\n\n)?^```(\w+)\n([\s\S]*?)^```/gm)].map(
    ([, path, kind, text]): Block => ({ path: path ?? null, kind: kind!, text: text! }),
  )

/** Each tutorial, and the fixture that it starts from; null where the page itself makes the database. */
const tutorials = [
  ['merged-chats', 'workspace-sessions'],
  ['json-history', 'conversation-history'],
  ['own-track', null],
  ['plain-postgresql', null],
] as const

describe('a reader follows a tutorial', () => {
  test.each(tutorials)('%s', async (name, fixture) => {
    const blocks = blocksOf(readFileSync(join(root, `docs/tutorials/${name}.md`), 'utf8'))
    await using db = fixture ? await database(newest(), fixture) : await copyOf(newest(), 'template1')
    const folder = mkdtempSync('/tmp/rethread-tutorial-')
    const npx = join(folder, 'npx')
    writeFileSync(
      npx,
      `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'dist/cli/main.js')}" "$@"\n`,
    )
    chmodSync(npx, 0o755)
    let made = fixture !== null
    for (const { path, kind, text } of blocks) {
      if (path) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      } else if (kind === 'sql' && !made) {
        await db.sql.unsafe(text)
        made = true
      } else if (kind === 'sh') {
        for (const line of text.trim().split('\n')) {
          const command = line
            .replace('postgres://user:password@host:5432/database', db.url)
            .replace('--confirm database', `--confirm ${db.name}`)
          const env = { ...process.env, DATABASE_URL: db.url, PATH: `${folder}:${process.env.PATH}` }
          const ran = await run('sh', ['-c', command], { cwd: folder, env }).catch(error => error)
          expect([line, ran.code ?? 0, ran.stdout]).toEqual([
            line,
            expect.toSatisfy((code: number) => code === 0 || code === 1),
            expect.not.stringMatching(/^✗/m),
          ])
          // what a reader is told to expect of a rehearsed path: nothing is wrong at its end
          if (/ (verify|prove|rollback|restore)\b/.test(line) && !/plan/.test(line))
            expect([line, ran.stdout]).toEqual([line, expect.stringMatching(/Verdict: (clean|attention)/)])
        }
      }
    }
  })
})
