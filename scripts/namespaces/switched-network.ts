// switched-network.ts — hosts on one switch: a network namespace each, joined by a bridge in a namespace of its own, so that nothing of it is
// in the machine's own network. Which host's packets reach which other one can be changed at any time, one way too.

import { Namespace } from './namespace.js';

/** Private to these namespaces: no route leads out. */
const SUBNET = '10.77.0';
const MAX_HOSTS = 250;

export class Host {
  constructor(
    readonly name: string,
    readonly address: string,
    readonly namespace: Namespace,
  ) {}
}

/** Packets of `from` do not reach `to`. */
export interface Cut {
  readonly from: string;
  readonly to: string;
}

export class SwitchedNetwork {
  private readonly hosts = new Map<string, Host>();
  /** The rules in force at each host, as iptables-restore(8) reads them. */
  private readonly rules = new Map<string, string>();
  private attached = 0;

  private constructor(private readonly hub: Namespace) {}

  static async create(): Promise<SwitchedNetwork> {
    const hub = await Namespace.create('switch');
    await hub.ip('link add bridge type bridge');
    await hub.ip('link set bridge up');
    return new SwitchedNetwork(hub);
  }

  /** A further host; addresses are never given twice. */
  async attach(name: string): Promise<Host> {
    const number = ++this.attached;
    if (number > MAX_HOSTS) throw new Error(`a network has room for ${MAX_HOSTS} hosts`);
    const namespace = await Namespace.create(name);
    const host = new Host(name, `${SUBNET}.${number}`, namespace);
    await namespace.ip(`link add eth0 type veth peer name port${number} netns ${this.hub.id}`);
    await this.hub.ip(`link set port${number} master bridge up`);
    await namespace.ip(`addr add ${host.address}/24 dev eth0`);
    await namespace.ip('link set eth0 up');
    this.hosts.set(name, host);
    return host;
  }

  async detach(host: Host): Promise<void> {
    this.hosts.delete(host.name);
    this.rules.delete(host.name);
    await host.namespace.delete();
  }

  /** From now on these packets are dropped, and no others. Whoever sends them notices nothing. */
  async cut(cuts: readonly Cut[]): Promise<void> {
    for (const { name, namespace } of this.hosts.values()) {
      const sources = cuts
        .filter(({ to }) => to === name)
        .map(({ from }) => this.hosts.get(from)?.address)
        .filter((address) => address !== undefined)
        .toSorted();
      const drops = sources.map((source) => `-A INPUT -s ${source} -j DROP\n`).join('');
      const rules = `*filter\n:INPUT ACCEPT [0:0]\n${drops}COMMIT\n`;
      if (this.rules.get(name) === rules || (drops === '' && !this.rules.has(name))) continue;
      await namespace.run('iptables-restore', [], rules);
      this.rules.set(name, rules);
    }
  }

  async delete(): Promise<void> {
    for (const host of this.hosts.values()) await host.namespace.delete();
    this.hosts.clear();
    await this.hub.delete();
  }
}
