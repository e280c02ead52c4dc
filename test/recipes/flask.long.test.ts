// Flask under gunicorn behind Holdfast, as docs/recipes/flask.md has it: the application's cookie has another value after each
// answer, so that the balancer goes by its own; the application says when a session ends.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import {
  type ApplicationServer,
  startApplication,
  testFolder,
  usersComeAndGo,
} from '../support/application.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs, needsPythonModules } from '../support/needs.ts';
import { recipe } from '../support/recipe.ts';

const APPLICATION = `
import os, uuid
from flask import Flask, session, jsonify

app = Flask(__name__)
app.secret_key = 'the same at all servers'
counters = {}

@app.get('/healthz')
def healthz():
    return {}

@app.get('/count')
def count():
    return {'sessions': len(counters)}

@app.post('/<path>')
def work(path):
    session['seen'] = uuid.uuid4().hex
    if path == 'login':
        session['id'] = uuid.uuid4().hex
        counters[session['id']] = 0
    id = session.get('id')
    if id not in counters:
        return {}, 401
    if path == 'inc':
        counters[id] += 1
    if path == 'logout':
        del counters[id]
        session.clear()
        return {}, 200, {'x-holdfast-session': 'end'}
    return jsonify(server=os.environ['SERVER'], counter=counters[id])
`;

async function flaskServer(program: string, name: string): Promise<ApplicationServer> {
  const folder = testFolder();
  writeFileSync(join(folder, 'application.py'), APPLICATION);
  const args = (port: number): readonly string[] => [
    ...['--workers', '1', '--threads', '4', '--worker-tmp-dir', folder],
    ...['--bind', `127.0.0.1:${port}`, 'application:app'],
  ];
  const url = await startApplication(program, args, { cwd: folder, env: { SERVER: name, HOME: folder } });
  const sessions = async (): Promise<number> =>
    ((await (await fetch(`${url}/count`)).json()) as { sessions: number }).sessions;
  return { name, url, sessions };
}

test('users stay where their state is, whatever value their cookie has, and are counted', async ({
  skip,
}) => {
  const program = needs('gunicorn', skip);
  needsPythonModules(['flask'], 'python3-flask', skip);
  const servers = await Promise.all(['a', 'b'].map((name) => flaskServer(program, name)));
  const holdfast = await runHoldfast(recipe(readFileSync('docs/recipes/flask.md', 'utf8'), servers));
  await usersComeAndGo(holdfast, servers);
});
