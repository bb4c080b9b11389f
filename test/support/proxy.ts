import { createConnection, createServer, type Socket } from 'node:net'

/** A statement as a client sent it: by the simple protocol, or as the Parse of the extended one. */
interface Sent {
  text: string
  /** When it passed, in milliseconds; only differences mean something. */
  at: number
}

/** A server in front of a server, which writes down every statement that passes. */
export interface Proxy extends AsyncDisposable {
  /** The address to connect to instead. */
  url: string
  sent: Sent[]
  /** How many connections were opened. */
  connections: number
  /** Cuts all connections for good when the nth statement comes, which does not pass. */
  cutAt(nth: number, then?: () => void): void
  /**
   * Passes nothing from the first statement on that matches, which may pass or not; the connections stay, as
   * in a network that has gone silent.
   */
  silentAt(statement: RegExp, passes?: boolean): Promise<void>
  /** Puts a text of the same length in the place of another one in what the server answers. */
  replaces(text: string, by: string): void
  /** Passes what a client says after its start-up so much later, in milliseconds. */
  delays(ms: number): void
  /** Passes nothing more from now on, as `silentAt` does. */
  hush(): void
  /** Passes everything again, of connections that are opened from now on. */
  speak(): void
  /** Cuts every connection that there is, at both ends. */
  drop(): void
  /** Cuts every connection at the client's end; the server hears nothing of it. */
  halve(): void
  /** Whether they were cut. */
  readonly cut: boolean
}

/** Starts a proxy in front of the server of a URL, on a port of its own. */
export async function proxy(url: string): Promise<Proxy> {
  const target = new URL(url)
  const sent: Sent[] = []
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  let connections = 0
  let last = Number.POSITIVE_INFINITY
  let cut = false
  let onCut = () => {}
  let silent = false
  let delayMs = 0
  let replaced: { text: string; by: string } | null = null
  let until: { statement: RegExp; passes: boolean; met: () => void } | null = null
  const silenced = new WeakSet<Socket>()
  const server = createServer(client => {
    if (cut) {
      client.destroy()
      return
    }
    connections++
    clients.add(client)
    const upstream = createConnection(Number(target.port), target.hostname)
    const read = statements(text => sent.push({ text, at: performance.now() }))
    const isSilent = () => silent || silenced.has(client)
    const pass = (chunk: Buffer) => {
      if (delayMs > 0 && upstream.bytesWritten > 0) setTimeout(() => upstream.write(chunk), delayMs)
      else upstream.write(chunk)
    }
    client.on('data', chunk => {
      const before = sent.length
      read(chunk)
      if (!cut && sent.length >= last) {
        cut = true
        for (const s of sockets) s.destroy()
        onCut()
      }
      const met = until !== null && sent.slice(before).some(s => until!.statement.test(s.text))
      if (!cut && !isSilent() && (!met || until!.passes)) pass(chunk)
      if (!met) return
      silent = true
      for (const s of sockets) silenced.add(s)
      until!.met()
      until = null
    })
    upstream.on('data', chunk => {
      if (isSilent()) return
      const at = replaced ? chunk.indexOf(replaced.text) : -1
      if (at >= 0) chunk.write(replaced!.by, at)
      client.write(chunk)
    })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one)
      one.setNoDelay(true)
      const end = () => {
        if (!isSilent()) other.destroy()
      }
      one.on('close', end).on('error', end)
    }
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const at = new URL(url)
  at.hostname = '127.0.0.1'
  at.port = String((server.address() as { port: number }).port)
  return {
    url: at.href,
    sent,
    get connections() {
      return connections
    },
    cutAt: (nth, then = () => {}) => {
      last = nth
      onCut = then
    },
    silentAt: (statement, passes = true) =>
      new Promise(met => {
        until = { statement, passes, met }
      }),
    replaces: (text, by) => {
      replaced = { text, by }
    },
    delays: ms => {
      delayMs = ms
    },
    hush: () => {
      silent = true
      for (const s of sockets) silenced.add(s)
    },
    halve: () => {
      for (const client of clients) {
        silenced.add(client)
        client.resetAndDestroy()
      }
      clients.clear()
    },
    drop: () => {
      for (const s of sockets) s.destroy()
    },
    speak: () => {
      silent = false
    },
    get cut() {
      return cut
    },
    [Symbol.asyncDispose]: async () => {
      for (const s of sockets) s.destroy()
      await new Promise(done => server.close(done))
    },
  }
}

/**
 * Reads a client's messages out of its bytes. Each has a type and a length, but for the
 * first, which has only a length.
 */
function statements(on: (text: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0)
  let started = false
  return chunk => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const head = started ? 1 : 0
      if (rest.length < head + 4) return
      const end = head + rest.readInt32BE(head)
      if (rest.length < end) return
      const type = started ? String.fromCharCode(rest[0]!) : 'startup'
      const body = rest.subarray(head + 4, end)
      // a request for TLS is a short first message, and the true one follows
      if (!started) started = !(body.length === 4 && body.readInt32BE(0) === 80877103)
      if (type === 'Q') on(body.toString('utf8', 0, body.length - 1))
      // the name of a prepared statement stands before the text
      if (type === 'P') {
        const from = body.indexOf(0) + 1
        on(body.toString('utf8', from, body.indexOf(0, from)))
      }
      rest = rest.subarray(end)
    }
  }
}
