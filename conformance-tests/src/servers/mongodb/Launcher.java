import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Starts the stand-in for MongoDB on the port, and the address, that it is given. It keeps everything in memory. */
class Launcher {
    /** The oldest server that the driver talks to. */
    record Version(List<Integer> getVersionArray, int getWireVersion) implements MongoVersion {}

    public static void main(String[] arguments) {
        var backend = new MemoryBackend();
        backend.version(new Version(List.of(4, 4, 0), 9));
        var address = arguments.length > 1 ? arguments[1] : "127.0.0.1";
        new MongoServer(backend).bind(address, Integer.parseInt(arguments[0]));
        System.out.println("Waiting for connections");
    }
}
