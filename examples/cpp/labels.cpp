// Labels of one frame, in C++, from an artifact of `occvino convert ... --calibration matrices` (docs/contract.md).
//
//     labels MODEL.xml CALIBRATION.txt OUT.raw IMAGE.ppm IMAGE.ppm ...
//
// Images and lines of the calibration are in the order of the artifact's cameras. A line of the calibration is 25
// numbers: the 3x3 intrinsics, then the 4x4 camera to key ego, row by row. OUT.raw is u8 [x][y][z].
#include <algorithm>
#include <fstream>
#include <iostream>
#include <openvino/openvino.hpp>
#include <stdexcept>
#include <string>

// The pixels of a PPM file (P6, 8 bits, RGB, no comment), put where the network wants them.
void read_image(const std::string& path, size_t height, size_t width, uint8_t* out) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    size_t w = 0, h = 0, most = 0;
    file >> magic >> w >> h >> most;
    if (!file || magic != "P6" || most != 255) throw std::runtime_error(path + ": no PPM file of 8 bits (P6)");
    if (w != width || h != height)
        throw std::runtime_error(path + " is " + std::to_string(w) + "x" + std::to_string(h) + ", the network takes " +
                                 std::to_string(width) + "x" + std::to_string(height));
    file.ignore(1);
    if (!file.read(reinterpret_cast<char*>(out), 3 * w * h)) throw std::runtime_error(path + " is cut short");
}

int main(int count, char** given) try {
    if (count < 5) throw std::runtime_error("usage: labels MODEL.xml CALIBRATION.txt OUT.raw IMAGE.ppm ...");
    ov::Core core;
    ov::CompiledModel model = core.compile_model(given[1], "CPU");
    ov::InferRequest request = model.create_infer_request();

    ov::Tensor frames = request.get_tensor("frames");  // u8 [N, H, W, 3]
    const ov::Shape shape = frames.get_shape();
    if (size_t(count - 4) != shape[0]) throw std::runtime_error("the network takes " + std::to_string(shape[0]) + " images");
    for (size_t i = 0; i < shape[0]; ++i)
        read_image(given[4 + i], shape[1], shape[2], frames.data<uint8_t>() + i * shape[1] * shape[2] * shape[3]);

    if (request.get_tensor("intrinsics").get_shape()[0] != shape[0]) throw std::runtime_error("streams need past frames");
    float* intrinsics = request.get_tensor("intrinsics").data<float>();  // [N, 3, 3]
    float* camera2ego = request.get_tensor("camera2ego").data<float>();  // [N, 4, 4]
    std::ifstream calibration(given[2]);
    for (size_t i = 0; i < shape[0]; ++i) {
        for (size_t k = 0; k < 9; ++k) calibration >> intrinsics[9 * i + k];
        for (size_t k = 0; k < 16; ++k) calibration >> camera2ego[16 * i + k];
    }
    if (!calibration) throw std::runtime_error(std::string(given[2]) + ": expected 25 numbers for each camera");

    request.infer();

    for (const auto& output : model.outputs())  // there only where the artifact pools in columns
        if (output.get_names().count("points_lost") && *request.get_tensor(output).data<int32_t>() != 0)
            throw std::runtime_error("this rig does not fit the artifact: convert with its rig, or --pooling scatter");
    ov::Tensor labels = request.get_tensor("labels");  // u8 [Dx, Dy, Dz]
    const uint8_t* first = labels.data<uint8_t>();
    std::ofstream out(given[3], std::ios::binary);
    if (!out.write(reinterpret_cast<const char*>(first), labels.get_byte_size()).flush())
        throw std::runtime_error(std::string(given[3]) + " cannot be written");
    const auto free_voxels = std::count(first, first + labels.get_size(), uint8_t(17));
    std::cout << labels.get_size() - free_voxels << " of " << labels.get_size() << " voxels are occupied\n";
    return 0;
} catch (const std::exception& error) {
    std::cerr << "labels: " << error.what() << "\n";
    return 1;
}
