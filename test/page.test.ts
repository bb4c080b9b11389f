import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { contract, rethread } from './support/cli.js'
import { database, newest } from './support/database.js'

/** A browser of this machine; the page's own test needs a real one. */
const browser = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  process.env.CHROME_BIN ?? '',
].find(path => path !== '' && existsSync(path))

async function page(): Promise<string> {
  await using db = await database(newest(), 'workspace-sessions', 300)
  await using copy = await database(newest(), 'workspace-sessions', 300)
  await db.sql.unsafe("update public.workspaces set name = '<script>alert(1)</script>'")
  const out = join(mkdtempSync('/tmp/rethread-page-'), 'plan.html')
  const ran = await rethread(
    db.url,
    ['plan', ...contract, '--rehearse-url', copy.url, '--format', 'html', '--output', out],
    { json: false },
  )
  expect(ran.code).toBe(0)
  return out
}

test('the page needs nothing else: no script, no address, every part with its heading', async () => {
  const html = readFileSync(await page(), 'utf8')
  expect(html).not.toMatch(/<script|https?:\/\/|<link|@import|url\(/i)
  const headings = [...html.matchAll(/<h2 id="([^"]+)">/g)].map(m => m[1])
  expect(headings).toEqual(
    expect.arrayContaining([
      'steps',
      'locks-in-the-order-in-which-they-are-taken',
      'who-waits',
      'verification',
      'tables-touched',
      'findings',
      'statements',
    ]),
  )
  // no meaning by colour alone, and a drawing that says what it is
  expect(html).toMatch(/<svg role="img" aria-label="Locks along the run: \d+ lock/)
  expect(html).toContain('prefers-color-scheme: dark')
  expect(html).toContain('@media print')
  expect(new Set(headings).size).toBe(headings.length)
})

test.runIf(browser)(
  'a browser lays the page out: bars within the drawing, nothing overflows, details open',
  async () => {
    const file = await page()
    // what the page measures of itself, once it is laid out
    const probe = `<script>
    const svg = document.querySelector('svg').getBoundingClientRect()
    const bars = [...document.querySelectorAll('svg rect')].map(r => r.getBoundingClientRect())
    document.querySelectorAll('details')[0].open = true
    const told = {
      bars: bars.length,
      inside: bars.every(b => b.left >= svg.left && b.right <= svg.right + 1 && b.width > 0),
      overflow: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      title: document.title,
      sql: document.querySelector('details pre').getBoundingClientRect().height > 0,
      colour: getComputedStyle(document.querySelector('rect.both')).fill,
    }
    document.body.insertAdjacentHTML('beforeend', '<output id="told">' + JSON.stringify(told) + '</output>')
  </script>`
    writeFileSync(file, readFileSync(file, 'utf8').replace('</body>', `${probe}</body>`))
    const dom = execFileSync(
      browser!,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--window-size=1100,900',
        '--dump-dom',
        `file://${file}`,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 },
    )
    const told = JSON.parse([...dom.matchAll(/<output id="told">(\{.*?\})<\/output>/g)].at(-1)![1]!)
    expect(told).toMatchObject({ inside: true, overflow: false, sql: true })
    expect(told.bars).toBeGreaterThan(5)
    expect(told.title).toMatch(/^rethread plan: t_/)
    expect(told.colour).toMatch(/^rgb\(\d+, \d+, \d+\)$/)
  },
)

test('GitHub: an annotation for each thing found, and the page of the job as Markdown', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  await db.sql.unsafe('drop index public.idx_chat_sessions_created_at')
  const summary = join(mkdtempSync('/tmp/rethread-summary-'), 'summary.md')
  const ran = await rethread(db.url, ['verify', '--only', 'indexes', '--format', 'github'], {
    json: false,
    env: { GITHUB_STEP_SUMMARY: summary },
  })
  expect(ran.code).toBe(1)
  expect(ran.stdout).toMatch(
    /^::error title=indexes%3A [^\n]+::idx_chat_sessions_created_at: missing%0A[^\n]+\n/,
  )
  expect(ran.stdout.trimEnd().split('\n').at(-1)).toMatch(
    /^rethread verify: attention; 0 pass, 1 found something, /,
  )
  expect(readFileSync(summary, 'utf8')).toMatch(/^## rethread verify: attention/)
})
