import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, posix } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addressOf, pageOf, repository } from '../.vitepress/markdown.js'
import { axeViolations, browserPath } from './support/browser.js'
import { root } from './support/database.js'
import { copyOfRepository } from './support/repository.js'

const run = promisify(execFile)

/** What Vue, HTML or the generator would take for its own. */
const odd = `# Odd {{ 1 + 1 }}

A <word> and {{ 1 + 1 }} and \`{{ 2 + 2 }}\` and 'a' {.b} and \\<id>.

<not-a-tag v-if="x">{{ 3 + 3 }}</not-a-tag>

<!-- seen by nobody -->

| column |
|---|
| \`<id>\` {{ 4 + 4 }} |
`

const sources = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'), { recursive: true }).map(path => `docs/${path}`),
].filter(path => path.endsWith('.md'))

const addressOfPage = (file: string): string => pageOf(file)!.replace(/\.md$/, '.html')

let site: string
beforeAll(async () => {
  const folder = copyOfRepository()
  writeFileSync(join(folder, 'docs/odd.md'), odd)
  await run('npm', ['run', '-s', 'docs'], { cwd: folder })
  site = join(folder, '.rethread/site')
})

const read = (path: string): string => readFileSync(join(site, path), 'utf8')
const built = (): string[] => readdirSync(site, { recursive: true }).map(String)
const unescaped = (html: string): string =>
  html
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
const textOf = (html: string): string => unescaped(html.replaceAll(/<!--.*?-->|<[^>]+>/gs, ''))

test('every page is there, with its title, and in the sidebar', () => {
  const sidebar = [...read('index.html').matchAll(/<a class="VPLink link link" href="([^"]+)"/g)].map(
    m => m[1],
  )
  for (const file of sources) {
    const title = /^# (.+)$/m.exec(readFileSync(join(root, file), 'utf8'))![1]!
    const html = read(addressOfPage(file))
    expect([file, /<title>(.+?)<\/title>/.exec(html)?.[1]]).toEqual([
      file,
      title === 'rethread' ? title : `${title} | rethread`,
    ])
    expect([file, textOf(/<h1 .*?<\/h1>/s.exec(html)![0])]).toEqual([file, expect.stringContaining(title)])
    expect(sidebar).toContain(`/${addressOfPage(file)}`.replace(/index\.html$/, ''))
  }
})

test('every link within the site leads to a page, and to a heading that is there', () => {
  const pages = built().filter(path => path.endsWith('.html') && path !== '404.html')
  expect(pages.length).toBe(sources.length + 1)
  const ids = new Map(pages.map(p => [p, new Set([...read(p).matchAll(/ id="([^"]+)"/g)].map(m => m[1]!))]))
  const broken = pages.flatMap(page =>
    [...read(page).matchAll(/<a [^>]*href="([^"]+)"/g)]
      .map(m => unescaped(m[1]!))
      .filter(link => !/^https:/.test(link))
      .filter(link => {
        const [path, anchor] = link.split('#') as [string, string?]
        const at = path === '' ? page : posix.join(posix.dirname(`/${page}`), path).slice(1)
        const to = posix.resolve('/', path.startsWith('/') ? path : at).slice(1) || 'index.html'
        return anchor === undefined ? !ids.has(to) : !ids.get(to)?.has(decodeURIComponent(anchor))
      })
      .map(link => `${page}: ${link}`),
  )
  expect(broken).toEqual([])
})

test('what Vue would interpret comes out as it is written, and a comment does not', () => {
  const html = read('odd.html')
  const [body] = /<div[^>]* class="vp-doc[\s\S]*<\/main>/.exec(html)!
  const text = textOf(body!)
  for (const part of [
    'Odd {{ 1 + 1 }}',
    "A <word> and {{ 1 + 1 }} and {{ 2 + 2 }} and 'a' {.b} and <id>.",
    '<not-a-tag v-if="x">{{ 3 + 3 }}</not-a-tag>',
    '<id> {{ 4 + 4 }}',
  ])
    expect(text).toContain(part)
  expect(html).not.toContain('seen by nobody')
})

test('a link to a file that is no page leads to the repository, one to nothing is refused', () => {
  expect(repository).toMatch(/^https:\/\/github\.com\/[\w-]+\/rethread$/)
  expect(addressOf('../examples/ci', 'docs/ci.md')).toBe(`${repository}/tree/main/examples/ci`)
  expect(addressOf('../../src/index.ts#L3', 'docs/tutorials/own-track.md')).toBe(
    `${repository}/blob/main/src/index.ts#L3`,
  )
  expect(addressOf('../files.md#a-b', 'docs/tutorials/own-track.md')).toBe('/files.md#a-b')
  expect(addressOf('../README.md', 'docs/ci.md')).toBe('/index.md')
  expect(addressOf('https://www.postgresql.org', 'docs/ci.md')).toBe('https://www.postgresql.org')
  expect(() => addressOf('nowhere.md', 'docs/ci.md')).toThrow('docs/ci.md: dead link nowhere.md')
})

test('a dead link fails the build', async () => {
  const folder = copyOfRepository()
  // the headings are enough for the sidebar
  for (const file of sources)
    writeFileSync(join(folder, file), /^# .+$/m.exec(readFileSync(join(root, file), 'utf8'))![0])
  writeFileSync(join(folder, 'docs/odd.md'), '# Odd\n\n[there](../nowhere.ts)\n')
  await expect(run('npm', ['run', '-s', 'docs'], { cwd: folder })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('docs/odd.md: dead link ../nowhere.ts'),
  })
})

test('the search has an index of its own, with the words of the pages', async () => {
  const file = built().find(path => /@localSearchIndex.*\.js$/.test(path))!
  const { default: text } = (await import(join(site, file))) as { default: string }
  const { documentIds, storedFields, index } = JSON.parse(text) as {
    documentIds: Record<string, string>
    storedFields: Record<string, { title: string }>
    index: [term: string, fields: Record<string, Record<string, number>>][]
  }
  const pages = new Set(Object.values(documentIds).map(id => id.split('#')[0]!.replace(/\/$/, '/index.html')))
  expect([...pages].sort()).toEqual([...sources.map(f => `/${addressOfPage(f)}`), '/odd.html'].sort())
  const found = Object.values(index.find(([term]) => term === 'autovacuum')![1])
    .flatMap(Object.keys)
    .map(id => [documentIds[id], storedFields[id]!.title])
  expect(found).toContainEqual(['/backfill.html#what-it-sets', 'What it sets'])
})

test('no page, style or script loads anything of another host', () => {
  const loads =
    /<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)="([^"]+)"|url\(([^)]+)\)|@import ([^;]+)/g
  const strange = built()
    .filter(path => /\.(html|css)$/.test(path))
    .flatMap(path => [...read(path).matchAll(loads)].map(m => [path, (m[1] ?? m[2] ?? m[3])!] as const))
  expect(strange.length).toBeGreaterThan(100)
  expect(strange.filter(([, address]) => !/^["']?(\/(?!\/)|data:)/.test(address))).toEqual([])
  // a script of the site is imported by a path
  const imported = built()
    .filter(path => path.endsWith('.js'))
    .flatMap(path => [...read(path).matchAll(/\b(?:from|import)\s*\(?["']([^"']+)["']/g)].map(m => m[1]!))
  expect(imported.length).toBeGreaterThan(20)
  expect(imported.filter(from => /^(\w+:)?\/\//.test(from))).toEqual([])
})

test('nothing of the site is in the package', async () => {
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const [{ files }] = JSON.parse((await run('npm', pack, { cwd: join(site, '../..') })).stdout)
  const paths = (files as { path: string }[]).map(f => f.path)
  expect(paths).toContain('docs/backfill.md')
  expect(paths.filter(path => /\.vitepress|\.rethread|\.html$/.test(path))).toEqual([])
})

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}

/** The site as any host of files would give it. */
async function served(): Promise<{ server: Server; address: string }> {
  const server = createServer(({ url }, response) => {
    const path = join(site, new URL(url!, 'http://a').pathname.replace(/\/$/, '/index.html'))
    if (!existsSync(path)) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': types[extname(path)] ?? 'text/plain' }).end(readFileSync(path))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return { server, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe.runIf(browserPath)('in a browser', () => {
  let browser: Browser
  let server: Server
  let address: string
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: browserPath!, args: ['--no-sandbox'] })
    ;({ server, address } = await served())
  })
  afterAll(async () => {
    await browser.close()
    server.close()
  })

  test.each([
    { screen: 'a desktop', width: 1440, colorScheme: 'light' as const, background: 'rgb(255, 255, 255)' },
    { screen: 'a phone, dark', width: 390, colorScheme: 'dark' as const, background: 'rgb(27, 27, 31)' },
  ])('$screen: nothing is cut off, no other host is asked, axe finds no violation', async look => {
    const { width, colorScheme, background } = look
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme })
    const asked: string[] = []
    const errors: string[] = []
    context.on('request', request => asked.push(request.url()))
    context.on('response', r => r.status() >= 400 && errors.push(`${r.status()} ${r.url()}`))
    context.on('weberror', e => errors.push(e.error().message))
    for (const path of ['/', '/files.html', '/reference/hazards.html']) {
      const page = await context.newPage()
      await page.goto(address + path, { waitUntil: 'networkidle' })
      const seen = await page.evaluate(`({
        path: location.pathname,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        background: getComputedStyle(document.body).backgroundColor,
      })`)
      expect(seen).toEqual({ path, overflow: 0, background })
      expect([path, await axeViolations(page)]).toEqual([path, []])
      await page.close()
    }
    const page = await context.newPage()
    await page.goto(`${address}/`, { waitUntil: 'networkidle' })
    await page.click('.DocSearch-Button')
    await page.fill('#localsearch-input', 'quarantine')
    await page.click('#localsearch-list a >> nth=0')
    await page.waitForURL(url => url.pathname !== '/')
    expect(await page.textContent('main')).toMatch(/quarantine/i)
    expect(errors).toEqual([])
    expect(asked.length).toBeGreaterThan(20)
    expect(asked.filter(url => !url.startsWith(`${address}/`) && !url.startsWith('data:'))).toEqual([])
    await context.close()
  })
})
