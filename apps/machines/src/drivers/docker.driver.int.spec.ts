import { baseImage, dockerAvailable } from '#testing';

import { connectToEngine, DockerDriver } from './docker.driver.ts';
import { describeMachineDriver } from './machine-driver.suite.ts';

const docker = connectToEngine('unix:///var/run/docker.sock');
const images: string[] = [];

describeMachineDriver(
  'docker',
  {
    outlives: true,
    async open(house) {
      const driver = new DockerDriver({ docker, house });
      await driver.open();
      return driver;
    },
    async artifactOf(program) {
      const container = await docker.createContainer({
        Image: baseImage,
        Cmd: ['node', '-e', program],
        Entrypoint: [],
      });
      const { Id: image } = (await container.commit()) as { Id: string };
      await container.remove();
      images.push(image);
      return { kind: 'image', image };
    },
    async clean(house) {
      if (house.endsWith('-other')) return;
      for (const image of images) await docker.getImage(image).remove({ force: true });
    },
  },
  !dockerAvailable(),
);
